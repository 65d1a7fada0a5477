"""Runs one command and measures it from outside: wall time, processor time, peak memory of all its processes.

Peak memory is the larger of two readings: the kernel's own maximum of the largest process, which misses
nothing but knows only one process, and the sum over the process tree, sampled. Both count mapped pages; the
sum uses proportional shares, so that pages shared by forked workers count once.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Measurement:
    """What one run of one command took."""

    exit_code: int
    wall_seconds: float
    user_seconds: float
    system_seconds: float
    peak_bytes: int
    stdout: str
    stderr: str


def measure(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Measurement:
    """Runs ``command`` to its end.

    Args:
        command: program and arguments.
        cwd: folder it runs in.
        env: variables added to the environment.
    """
    started = time.perf_counter()
    child = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    sampler = TreeSampler(child.pid)
    sampler.start()
    outputs: dict[str, str] = {}
    readers = [
        threading.Thread(target=lambda name=name, pipe=pipe: outputs.update({name: pipe.read()}))
        for name, pipe in (("stdout", child.stdout), ("stderr", child.stderr))
    ]
    for reader in readers:
        reader.start()
    # wait4 instead of Popen.wait: it returns the usage of this child and of what it waited for, nobody else's.
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    sampler.stop()
    for reader in readers:
        reader.join()
    return Measurement(
        exit_code=child.returncode,
        wall_seconds=wall,
        user_seconds=usage.ru_utime,
        system_seconds=usage.ru_stime,
        peak_bytes=max(usage.ru_maxrss * 1024, sampler.peak_bytes),
        stdout=outputs["stdout"],
        stderr=outputs["stderr"],
    )


class TreeSampler(threading.Thread):
    """Sums the memory of a process and its descendants until stopped."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._root = root
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            tree = process_tree(self._root)
            # One process has nobody to share with, and its resident size is far cheaper to read.
            read = resident_bytes if len(tree) == 1 else proportional_bytes
            self.peak_bytes = max(self.peak_bytes, sum(read(pid) for pid in tree))

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def process_tree(root: int) -> list[int]:
    """A process and all its living descendants."""
    tree = [root]
    for pid in tree:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                tree += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        except OSError:
            pass  # It ended while we looked.
    return tree


def resident_bytes(pid: int) -> int:
    """Resident pages of a process; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def proportional_bytes(pid: int) -> int:
    """Resident pages of a process, each divided by the number of processes that map it; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
