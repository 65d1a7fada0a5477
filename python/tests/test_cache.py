"""The cache among processes: who makes, who reads, who dies, and what is found after it."""

from __future__ import annotations

import gc
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gristmill import Cache, GristmillError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

_MIB = 1 << 20

#: What a child process runs after opening the cache: each number has contents of its own, checked by all readers.
_CHILD = """
import os, sys, time
import numpy as np
from gristmill import Cache

folder, memory_folder, shared, disk = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
cache = Cache(folder, memory=300_000, shared=shared, disk=disk, shared_folder=memory_folder)

def contents(number, length=20_000):
    return np.arange(length, dtype=np.int32) * 3 + number

def check(number, make=None):
    found = cache.get_or_make(number, make or (lambda: {"ids": contents(number)}))["ids"]
    assert np.array_equal(found, contents(number, len(found))), number

"""


def start(tmp_path: Path, program: str, *, shared: int = 0, disk: int = 64 * _MIB) -> subprocess.Popen[str]:
    memory = tmp_path / "memory"
    memory.mkdir(exist_ok=True)
    arguments = [str(tmp_path / "cache"), str(memory), str(shared), str(disk)]
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD + program, *arguments], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )


def finish(children: Sequence[subprocess.Popen[str]]) -> list[str]:
    """What they printed; all must have ended well."""
    outputs = [child.communicate(timeout=60)[0] for child in children]
    assert [child.returncode for child in children] == [0] * len(children)
    return outputs


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def entries(tmp_path: Path) -> list[Path]:
    return files(tmp_path / "cache" / "entries")


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=8),
        npst.arrays(
            st.sampled_from(["?", "u1", "i1", "u2", ">i2", "f2", "u4", "i4", ">f4", "u8", "i8", "f8"]),
            npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
        ),
        max_size=4,
    )
)
def test_arrays_come_back_as_they_went_in(tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any]) -> None:
    folder = tmp_path_factory.mktemp("cache")
    for turn in range(2):
        with Cache(folder, memory=0) as cache:
            found = cache.get_or_make("key", lambda: arrays)
            assert cache.stats()["misses"] == 1 - turn
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype.newbyteorder("<")
            np.testing.assert_array_equal(found[name], array)
            assert not found[name].flags.writeable
            assert found[name].ctypes.data % 64 == 0 or found[name].size == 0


def test_arrays_outlive_the_cache_and_their_file(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        ids = cache.get_or_make(("a", 1), lambda: {"ids": np.arange(1000)})["ids"][::2]
    del cache
    gc.collect()
    for path in files(tmp_path / "entries"):
        path.unlink()
    np.testing.assert_array_equal(ids, np.arange(0, 1000, 2))
    with pytest.raises(ValueError, match="read-only"):
        ids[0] = 1


def test_keys_are_told_apart_by_type_and_place(tmp_path: Path) -> None:
    keys: list[Any] = [1, "1", b"1", ("1", 1), (1, "1"), ("11",), ("1", "1"), np.arange(3), np.arange(3.0), ((-1),)]
    with Cache(tmp_path) as cache:
        for number, key in enumerate(keys):
            cache.get_or_make(key, lambda number=number: {"n": np.array(number)})  # type: ignore[misc]
        found = [cache.get(key) for key in keys]
        assert [int(arrays["n"]) for arrays in found if arrays] == list(range(len(keys)))
        assert cache.get("other") is None


def test_what_it_cannot_hold_is_an_error_that_says_so(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        with pytest.raises(GristmillError, match="GM_CONFIG: option 'arrays': array 'a': a cache holds numbers and booleans"):
            cache.get_or_make(1, lambda: {"a": np.array(["text"])})
        with pytest.raises(GristmillError, match="option 'key'"):
            cache.get_or_make((1.5,), lambda: {})  # type: ignore[arg-type]
        # The names of a mapping alone would make one key of {"a": 1} and {"a": 2}, and a set has no order.
        unfit: list[Any] = [{"a": 1}, {"a", "b"}, iter("ab"), None, 1.5, ((1,),)]
        for key in unfit:
            with pytest.raises(GristmillError, match="option 'key': it takes"):
                cache.get_or_make(key, lambda: {})
        with pytest.raises(ZeroDivisionError):
            cache.get_or_make(1, lambda: {"a": np.array(1 // 0)})
        assert cache.get_or_make(1, lambda: {"a": np.array(2)})["a"] == 2, "the next one may make it"
    with pytest.raises(GristmillError, match="GM_DISPOSED"):
        cache.get(1)
    with pytest.raises(GristmillError, match="option 'disk': -1"):
        Cache(tmp_path, disk=-1)


def test_it_travels_to_other_processes_by_pickling(tmp_path: Path) -> None:
    with Cache(tmp_path, memory=0) as cache:
        cache.get_or_make(1, lambda: {"a": np.array(2)})
        found = pickle.loads(pickle.dumps(cache)).get(1)
        assert found is not None and found["a"] == 2


def test_eight_processes_make_each_entry_once_and_share_it(tmp_path: Path) -> None:
    program = """
made = []
def make(number):
    made.append(number)
    return {"ids": contents(number)}
sys.stdin.readline()
for number in range(30):
    check(number, lambda: make(number))
print(len(made))
"""
    children = [start(tmp_path, program, shared=64 * _MIB) for _ in range(8)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    assert sum(int(output) for output in finish(children)) == 30
    assert len(entries(tmp_path)) == 30
    assert list((tmp_path / "memory").iterdir()) == [], "shared memory went with its last user"


def test_who_dies_while_making_leaves_the_right_to_the_next(tmp_path: Path) -> None:
    program = """
def make():
    print("making", flush=True)
    time.sleep(600)
check(1, make)
"""
    maker = start(tmp_path, program)
    assert maker.stdout is not None
    assert maker.stdout.readline() == "making\n"
    waiter = start(tmp_path, "check(1); print('done')")
    maker.kill()
    assert finish([waiter]) == ["done\n"]
    maker.communicate()


def test_a_process_killed_at_any_point_leaves_the_cache_right(tmp_path: Path) -> None:
    """Writers under a small bound, so that they add and remove all the time, killed after some entries each."""
    disk = 6 * 100_000
    program = """
number = int(os.urandom(2).hex(), 16)
while True:
    check(number % 40)
    print(flush=True)
    number += 7
"""
    for turn in range(8):
        children = [start(tmp_path, program, shared=4 * 100_000, disk=disk) for _ in range(2)]
        for child in children:
            assert child.stdout is not None
            for _ in range(5 + 4 * turn):
                assert child.stdout.readline() == "\n"
        for child in children:
            child.send_signal(signal.SIGKILL)
        for child in children:
            child.communicate()
    with Cache(tmp_path / "cache", disk=disk, shared=1, shared_folder=tmp_path / "memory") as cache:
        assert cache.stats()["disk_bytes"] == sum(path.stat().st_size for path in entries(tmp_path)) <= disk
        assert files(tmp_path / "cache" / "making") == []
        for number in range(40):
            found = cache.get(number)
            if found is not None:
                np.testing.assert_array_equal(found["ids"], np.arange(20_000, dtype=np.int32) * 3 + number)
        assert cache.stats()["corrupt"] == 0, "nothing unfinished ever had a name"
    assert list((tmp_path / "memory").iterdir()) == []


def test_many_processes_under_a_bound_never_exceed_it(tmp_path: Path) -> None:
    program = """
for turn in range(60):
    check((turn * 7 + os.getpid()) % 25)
    stats = cache.stats()
    assert stats["disk_bytes"] <= 900_000 and stats["shared_bytes"] <= 500_000, stats
"""
    finish([start(tmp_path, program, shared=500_000, disk=900_000) for _ in range(6)])
    assert sum(path.stat().st_size for path in entries(tmp_path)) <= 900_000


def test_what_another_process_reads_is_not_removed(tmp_path: Path) -> None:
    program = """
held = cache.get_or_make("held", lambda: {"ids": contents(7)})["ids"]
print("reading", flush=True)
sys.stdin.readline()
assert np.array_equal(held, contents(7))
"""
    reader = start(tmp_path, program, disk=300_000)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "reading\n"
    with Cache(tmp_path / "cache", memory=0, disk=300_000) as cache:
        for number in range(20):
            cache.get_or_make(number, lambda number=number: {"a": np.full(20_000, number, np.int32)})  # type: ignore[misc]
            assert cache.get("held") is not None
            assert cache.stats()["disk_bytes"] <= 300_000
        assert cache.stats()["refused"] == 0
        finish([reader])
        for number in range(20, 24):
            cache.get_or_make(number, lambda number=number: {"a": np.full(20_000, number, np.int32)})  # type: ignore[misc]
        assert cache.get("held") is None


def test_a_write_that_the_system_refuses_is_counted_and_done_without(tmp_path: Path) -> None:
    """A limit on the size of files, since a file system without space needs rights to be made."""
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
check(1)
stats = cache.stats()
assert stats["failed_writes"] == 2 and "File too large" in stats["last_failure"], stats
assert cache.get_or_make(2, lambda: {{"ids": contents(2, 100)}})["ids"].size == 100
assert cache.stats()["disk_bytes"] > 0
"""
    finish([start(tmp_path, program, shared=64 * _MIB)])


def test_memory_at_hand_is_bounded_too(tmp_path: Path) -> None:
    held: list[NDArray[np.int64]] = []
    with Cache(tmp_path, memory=100_000) as cache:
        for number in range(30):
            held.append(cache.get_or_make(number, lambda: {"a": np.zeros(2000, np.int64)})["a"])
            assert cache.stats()["memory_bytes"] <= 100_000
        held.clear()
        began = cache.stats()["disk_hits"]
        cache.get(0)
        cache.get(0)
        assert cache.stats()["disk_hits"] - began <= 1


def test_an_interrupt_ends_the_wait_for_a_maker(tmp_path: Path) -> None:
    maker = start(tmp_path, "check(1, lambda: (print('making', flush=True), time.sleep(600)))")
    assert maker.stdout is not None
    maker.stdout.readline()
    program = """
try:
    print("waiting", flush=True)
    check(1)
except KeyboardInterrupt:
    print("left")
"""
    waiter = start(tmp_path, program)
    assert waiter.stdout is not None
    waiter.stdout.readline()
    waiter.send_signal(signal.SIGINT)
    assert waiter.communicate(timeout=60)[0] == "left\n"
    maker.kill()
    maker.communicate()
