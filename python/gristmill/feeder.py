"""The process that runs a pipeline for a loader: found, started, and its death told."""

from __future__ import annotations

import collections
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import GristmillError, translated
from .options import Pipeline, of_environment

#: Lines of the feeder's standard error that an exception repeats.
_LAST_LINES = 12
#: Seconds that a feeder without a socket may take to end.
_PATIENCE = 2.0
#: What the command line takes for a count.
_MOST_OF_A_FLAG = 10**9 - 1


class Feeder:
    """A feeder and the loader's end of the socket to it."""

    def __init__(self, pipeline: Pipeline, seq_len: int | None) -> None:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours, its:
            self._process = subprocess.Popen(
                [*find_command(Path(pipeline.file)), *_arguments(pipeline, seq_len, its.fileno())],
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            self._socket: int | None = ours.detach()
        assert self._process.stdout is not None
        self._last: collections.deque[bytes] = collections.deque(maxlen=_LAST_LINES)
        # The thread must not know this object, which would then live as long as the process.
        self._echo = threading.Thread(
            target=_echo, args=(self._process.stdout, self._last), name="gristmill-feeder", daemon=True
        )
        self._echo.start()

    def __del__(self) -> None:
        # A loader that nobody closed: the process ends by itself, and is to be collected here.
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()

    def take_socket(self) -> int:
        """The descriptor, which is the caller's from here on."""
        taken, self._socket = self._socket, None
        assert taken is not None
        return taken

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Closes the feeder when opening the loader fails, and says of a dead one how it ended."""
        try:
            with translated():
                yield
        except BaseException as error:
            self.close()
            if isinstance(error, GristmillError):
                raise self.explained(error) from None
            raise

    def explained(self, error: GristmillError) -> GristmillError:
        """The error; that of a feeder that is gone with how the process ended and what it wrote last."""
        if error.code != "GM_FEEDER":
            return error
        how = _ending(self._wait())
        self._echo.join(_PATIENCE)
        last = b"".join(self._last).decode(errors="replace").strip()
        wrote = f"; it wrote last:\n{last}\n" if last else ""
        return GristmillError(error.code, f"{error.message}; {how}{wrote}", error.hint)

    def close(self) -> None:
        """Waits for the process, whose socket the caller has closed; ends it when it does not end by itself."""
        if self._socket is not None:
            os.close(self.take_socket())
        self._wait()
        self._echo.join(_PATIENCE)

    def _wait(self) -> int:
        try:
            return self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _echo(pipe: IO[bytes], last: collections.deque[bytes]) -> None:
    """What the feeder writes, as a user's function may, goes to the standard error, and its end is kept."""
    with pipe:
        for line in pipe:
            last.append(line)
            try:
                os.write(2, line)
            except OSError:
                pass  # nobody reads it


def _arguments(pipeline: Pipeline, seq_len: int | None, socket: int) -> list[str]:
    for name, value, most in (
        ("task_bytes", pipeline.task_bytes, _MOST_OF_A_FLAG),
        ("cache_bytes", pipeline.cache_bytes, 1 << 53),
        ("seq_len", seq_len, _MOST_OF_A_FLAG),
        ("workers", pipeline.workers, 1024),
    ):
        if value is not None and not 1 <= value <= most:
            raise GristmillError("GM_CONFIG", f"option '{name}': {value} is no whole number from 1 to {most}")
    arguments = ["feeder", os.fspath(pipeline.file), "--socket", str(socket), "--task-bytes", str(pipeline.task_bytes)]
    cache = pipeline.cache_folder()
    if cache is not None:
        arguments += ["--cache", cache, "--cache-bytes", str(pipeline.cache_bytes)]
    if seq_len is not None:
        arguments += ["--seq-len", str(seq_len)]
    workers = pipeline.workers if pipeline.workers is not None else _workers_of_rank()
    if workers is not None:
        arguments += ["--workers", str(workers)]
    for key, value in pipeline.set.items():
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        arguments += ["--set", f"{key}={text}"]
    return arguments


def _workers_of_rank() -> int | None:
    """The share of this machine's cores that is this rank's; None for all of them."""
    ranks = of_environment("LOCAL_WORLD_SIZE", 1)
    return None if ranks <= 1 else max(1, (os.cpu_count() or 1) // ranks)


def _ending(status: int) -> str:
    if status >= 0:
        return f"the process ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"the process was ended by {name}"


def find_command(pipeline: Path) -> list[str]:
    """How to start ``gristmill``: ``GRISTMILL_CLI``, PATH, the nearest ``node_modules/.bin``, an enclosing checkout.

    Raises:
        GristmillError: It is nowhere; the message lists the places.
    """
    looked: list[str] = []
    told = os.environ.get("GRISTMILL_CLI")
    if told:
        command = [told] if Path(told).exists() else shlex.split(told)
        if command and shutil.which(command[0]):
            return command
        raise GristmillError("GM_FEEDER", f"GRISTMILL_CLI is {told!r}, and there is no such command")
    looked.append("GRISTMILL_CLI (not set)")
    found = shutil.which("gristmill")
    if found:
        return [found]
    looked.append("PATH")
    for folder in _upwards(pipeline):
        script = folder / "node_modules" / ".bin" / "gristmill"
        if script.exists():
            return [os.fspath(script)]
        looked.append(os.fspath(script))
    for folder in _upwards(pipeline, Path(__file__)):
        script = folder / "bin" / "gristmill.js"
        if script.exists() and (folder / "dist" / "cli" / "main.js").exists():
            return ["node", os.fspath(script)]
        looked.append(os.fspath(script))
    places = "\n  ".join(looked)
    raise GristmillError(
        "GM_FEEDER",
        f"a pipeline needs the command `gristmill` and Node.js, and it is in none of these places:\n  {places}\n",
        "install it with npm, or set GRISTMILL_CLI to it",
    )


def _upwards(*starts: Path) -> Iterator[Path]:
    """The working directory and the folders of `starts`, with all above them; each once."""
    seen: dict[Path, None] = {}
    for start in (Path.cwd(), *(start.absolute().parent for start in starts)):
        seen.update(dict.fromkeys([start, *start.parents]))
    return iter(seen)
