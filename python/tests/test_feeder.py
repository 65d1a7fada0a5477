"""The process behind a pipeline: where it is found, and what is left when it or its trainer dies. Nothing may be."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipelines import Text, write_text

from gristmill import GristmillError, Loader
from gristmill.feeder import find_command

#: Seconds until a death must be seen.
AT_ONCE = 2.0
KILLS = 25


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Text:
    text = write_text(tmp_path_factory.mktemp("feeder") / "text", files=6, each=10)
    (text.file.parent / "corpus.ts").write_text(
        """import { jsonl, megatron } from 'gristmill'
        export default jsonl<{ id: string; text: string }>('data/*.jsonl')
          .filter((row) => row.text.length > 1)
          .tokenize({ tokenizer: './tokenizer.json', append: '<end>' })
          .pack({ length: 32 })
          .write(megatron())
        """
    )
    return text


@pytest.fixture
def nothing_left(text: Text, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails when a process or a file is left: beside the input, where temporary ones go, or unfinished in the cache."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", os.fspath(temporary))
    files = set(text.file.parent.rglob("*"))
    yield
    deadline = time.monotonic() + AT_ONCE
    while (left := processes_of(text)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left
    assert set(text.file.parent.rglob("*")) == files
    assert not list(temporary.rglob("*"))
    # What was being made stands in the cache until it is opened again.
    with Loader(text.pipeline(), batch_size=1, as_numpy=True) as loader:
        assert sum(batch.token_count for batch in loader) == sum(map(len, text.documents))
    assert [file for file in (tmp_path / "cache-home").rglob("making/*") if file.is_file()] == []


def processes_of(text: Text) -> dict[int, str]:
    """Feeders that work for `text`, and their children."""
    found, parents = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if " feeder " in command and os.fspath(text.file.parent) in command:
            found[int(entry.name)] = command
    return found | {pid: f"child of {parent}" for pid, parent in parents.items() if parent in found}


def feeder_of(loader: Loader) -> int:
    feeder = loader._feeder
    assert feeder is not None
    return feeder._process.pid


@pytest.mark.usefixtures("nothing_left")
def test_a_killed_feeder_is_an_exception_that_says_so(text: Text) -> None:
    with Loader(text.pipeline(), batch_size=2, as_numpy=True) as loader:
        batch = next(iter(loader))
        os.kill(feeder_of(loader), signal.SIGKILL)
        killed = time.monotonic()
        with pytest.raises(GristmillError, match="the process was ended by SIGKILL") as dead:
            while time.monotonic() - killed < AT_ONCE:
                next(iter(loader))
        assert dead.value.code == "GM_FEEDER" and "load the last state" in dead.value.hint
        assert batch["tokens"].shape == (2, 32)


@pytest.mark.usefixtures("nothing_left")
def test_a_feeder_that_is_killed_while_the_loader_waits_for_it(text: Text) -> None:
    """A function that never returns keeps the first batch away."""
    module = text.file.parent / "endless.ts"
    module.write_text((text.file.parent / "corpus.ts").read_text().replace("row.text.length > 1", "forever()"))
    with module.open("a") as out:
        out.write("\nfunction forever(): boolean { for (;;); }\n")
    try:
        with Loader(Text(module, []).pipeline(), batch_size=2, as_numpy=True) as loader:
            feeder = feeder_of(loader)
            killed: list[float] = []

            def kill() -> None:
                os.kill(feeder, signal.SIGKILL)
                killed.append(time.monotonic())

            threading.Timer(0.3, kill).start()
            with pytest.raises(GristmillError, match="SIGKILL"):
                next(iter(loader))
            assert time.monotonic() - killed[0] < AT_ONCE
    finally:
        module.unlink()


@pytest.mark.usefixtures("nothing_left")
def test_feeders_killed_at_any_moment_leave_nothing(text: Text) -> None:
    """Also while they start and the loader is opened."""
    chance = random.Random(3)
    for _ in range(KILLS):
        killer = threading.Thread(target=kill_a_child, args=(threading.get_native_id(), chance.uniform(0, 0.8)))
        killer.start()
        with pytest.raises(GristmillError, match="SIGKILL") as dead:
            with Loader(text.pipeline(), batch_size=1, as_numpy=True) as loader:
                while True:
                    for _batch in loader:
                        time.sleep(0.002)
        assert dead.value.code == "GM_FEEDER"
        killer.join()


def kill_a_child(thread: int, delay: float) -> None:
    """Kills the process that a thread starts, so long after it started it."""
    children = Path(f"/proc/self/task/{thread}/children")
    while not (child := children.read_text().split()):
        time.sleep(0.002)
    time.sleep(delay)
    os.kill(int(child[0]), signal.SIGKILL)


#: A trainer that says when it has its first batch, and goes on.
TRAINER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pipelines import Text
from pathlib import Path
from gristmill import Loader
with Loader(Text(Path(sys.argv[2]), []).pipeline(), batch_size=1, as_numpy=True) as loader:
    while True:
        for batch in loader:
            print(batch.epoch, flush=True)
            time.sleep(0.002)
"""


def start_trainer(file: Path, program: str = TRAINER) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", program, os.fspath(Path(__file__).parent), os.fspath(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


@pytest.mark.usefixtures("nothing_left")
def test_trainers_killed_at_any_moment_leave_nothing(text: Text) -> None:
    chance = random.Random(4)
    for number in range(KILLS):
        trainer = start_trainer(text.file if number % 5 else text.file.parent / "corpus.ts")
        assert trainer.stdout is not None
        if number % 2:
            trainer.stdout.readline()  # it feeds
        else:
            time.sleep(chance.uniform(0.1, 0.8))  # it starts
        trainer.kill()
        trainer.wait()
        trainer.stdout.close()


@pytest.mark.usefixtures("nothing_left")
def test_a_feeder_has_no_file_with_a_name_but_its_inputs(text: Text, tmp_path: Path) -> None:
    with Loader(text.pipeline(), batch_size=1, as_numpy=True) as loader:
        next(iter(loader))
        names = [os.readlink(link) for link in Path(f"/proc/{feeder_of(loader)}/fd").iterdir()]
    places = (tempfile.gettempdir(), "/dev/shm")
    named = [name for name in names if name.startswith(places) and not name.endswith("(deleted)")]
    assert [name for name in named if not name.startswith(os.fspath(tmp_path / "cache-home"))] == []


@pytest.mark.usefixtures("nothing_left")
def test_a_trainer_that_leaves_in_the_midst_of_an_epoch(text: Text) -> None:
    loader = Loader(text.pipeline(), batch_size=1, as_numpy=True)
    batch = next(iter(loader))
    tokens = batch["tokens"].copy()
    loader.close()
    assert (batch["tokens"] == tokens).all()
    with pytest.raises(GristmillError) as closed:
        next(iter(loader))
    assert closed.value.code == "GM_DISPOSED"
    loader.close()  # twice is harmless


@pytest.mark.usefixtures("nothing_left")
def test_a_forked_child_of_the_trainer_does_not_keep_the_feeder(text: Text) -> None:
    """It holds a copy of the socket, so that the feeder sees no end of it."""
    program = TRAINER.replace("while True:", "import os, time\n    if os.fork() == 0: time.sleep(60)\n    while True:")
    trainer = start_trainer(text.file, program)
    assert trainer.stdout is not None
    trainer.stdout.readline()
    feeders = processes_of(text)
    forked = {
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(trainer.pid)
    } - set(feeders)
    trainer.kill()
    trainer.wait()
    trainer.stdout.close()
    try:
        assert feeders
        deadline = time.monotonic() + AT_ONCE
        while (left := processes_of(text)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not left
    finally:
        assert forked
        for pid in forked:
            os.kill(pid, signal.SIGKILL)


def script(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_where_the_command_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path.resolve()
    pipeline = root / "project/pipelines/corpus.yaml"
    pipeline.parent.mkdir(parents=True)
    monkeypatch.chdir(root)
    monkeypatch.delenv("GRISTMILL_CLI", raising=False)
    monkeypatch.setenv("PATH", os.fspath(root / "bin"))
    monkeypatch.setattr("gristmill.feeder.__file__", os.fspath(root / "site/gristmill/feeder.py"))
    with pytest.raises(GristmillError) as missing:
        find_command(pipeline)
    places = ["GRISTMILL_CLI", "PATH", "project/pipelines/node_modules/.bin/gristmill", "project/bin/gristmill.js"]
    assert all(place in str(missing.value) for place in places) and "with npm" in missing.value.hint

    checkout = script(root / "project/bin/gristmill.js")
    assert "bin/gristmill.js" in str(pytest.raises(GristmillError, find_command, pipeline).value)  # not built
    script(root / "project/dist/cli/main.js")
    assert find_command(pipeline) == ["node", os.fspath(checkout)]
    installed = script(root / "project/node_modules/.bin/gristmill")
    assert find_command(pipeline) == [os.fspath(installed)]
    nearer = script(root / "project/pipelines/node_modules/.bin/gristmill")
    assert find_command(pipeline) == [os.fspath(nearer)]
    on_path = script(root / "bin/gristmill")
    assert find_command(pipeline) == [os.fspath(on_path)]
    told = script(root / "elsewhere/my gristmill")
    monkeypatch.setenv("GRISTMILL_CLI", os.fspath(told))
    assert find_command(pipeline) == [os.fspath(told)]
    monkeypatch.setenv("GRISTMILL_CLI", f"{on_path} --flag")
    assert find_command(pipeline) == [os.fspath(on_path), "--flag"]
    monkeypatch.setenv("GRISTMILL_CLI", "nowhere")
    with pytest.raises(GristmillError, match="GRISTMILL_CLI is 'nowhere'"):
        find_command(pipeline)


def test_a_command_that_is_no_feeder_is_told_with_its_words(text: Text, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_CLI", f"{sys.executable} -c 'print(\"not me\"); raise SystemExit(3)'")
    with pytest.raises(GristmillError, match=r"(?s)ended with status 3; it wrote last:\nnot me") as refused:
        Loader(text.pipeline(), batch_size=1)
    assert refused.value.code == "GM_FEEDER"
