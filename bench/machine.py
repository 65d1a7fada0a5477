"""What the figures were measured with: processor, versions, commit. No host name and no path."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path

READ_VERSIONS = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"


def describe(root: Path, pythons: dict[str, list[str]]) -> dict[str, object]:
    """The environment of a session, as plain JSON.

    Args:
        root: root of the checkout.
        pythons: for each Python of the peers (path relative to ``root``), the packages to name.
    """
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memoryGiB": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "commit": _output(["git", "rev-parse", "HEAD"], root),
        "uncommittedChanges": _output(["git", "status", "--porcelain", "--untracked-files=no"], root) != "",
        "node": _output(["node", "--version"], root),
        "rustc": _output(["rustc", "--version"], root),
        "python": platform.python_version(),
        "peers": {
            python: json.loads(_output([str(root / python), "-c", READ_VERSIONS, *packages], root))
            for python, packages in pythons.items()
        },
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _output(command: list[str], cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()
