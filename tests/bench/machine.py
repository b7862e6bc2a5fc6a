"""Cores, CPU time and memory of processes, the machine, and the versions of what took part."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

import psutil

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORES = CORES[:1]
LOAD_CORES = CORES[1:] or CORES
"""Cores of load generators, databases and Redis. On a machine with one core, the server's."""
_PACKAGES = (
    *("gunicorn", "gevent", "flask", "sqlalchemy", "pymysql", "celery", "redis", "websockets", "marshmallow"),
    "orjson",
)
_PROGRAMS = (
    ("MariaDB", "mariadbd"), ("Redis", "redis-server"), ("Node", "node"), ("git", "git"), ("Chromium", "chromium"),
)  # fmt: skip


@contextlib.contextmanager
def pinned(cores: Collection[int]) -> Iterator[None]:
    """Processes that this thread starts in the block run on these cores alone; so does the thread meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def tree(pid: int) -> list[psutil.Process]:
    """The process and all that it started, in turn. Empty if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    return []


def cpu_seconds(*pids: int) -> float:
    """CPU that these processes and their descendants have used, those included that have ended and were waited for.

    The kernel counts in hundredths of a second: measure at least one second of CPU.
    """
    used = 0.0
    for process in (process for pid in pids for process in tree(pid)):
        with contextlib.suppress(psutil.NoSuchProcess):
            used += sum(process.cpu_times()[:4])
    return used


def pss_bytes(*pids: int) -> int:
    """Memory of these processes and their descendants; what several share is counted once."""
    total = 0
    for process in (process for pid in pids for process in tree(pid)):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss: +(\d+)", text, re.MULTILINE)[1]) * 1024  # type: ignore[index]
    return total


def machine() -> dict[str, str]:
    """What the table says about the machine. No name of it, no path."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cores": f"{len(CORES)} of {found[1].strip() if found else platform.machine()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def versions() -> dict[str, str]:
    """The versions of what the platform consists of, where it is installed."""
    found = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    for name, program in _PROGRAMS:
        if path := shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"):
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout
            if version := re.search(r"\d+\.\d+(\.\d+)*", said):
                found[name] = version[0]
    return found
