"""Memory and processes of a command are bounded, by control groups or by counting."""

from __future__ import annotations

import os
import signal

import pytest

from tests.conftest import leave_out
from tests.workers.sandbox.conftest import Starter
from workers.sandbox import confinement
from workers.sandbox.control_groups import Group, make_group
from workers.sandbox.limits import Bounds

HOG = """
import time
x = bytearray(1)
while len(x) < 2**30: x += bytes(10_000_000); time.sleep(0.001)
time.sleep(1000)
"""
BOMB = "import os, time\nfor _ in range(300): os.fork() or time.sleep(1000)\nprint('forked'); time.sleep(1000)"
KEEP = """
import os, signal, sys
descriptor = os.memfd_create("kept") if sys.argv[1] == "memfd" else os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
for _ in range(60): os.write(descriptor, bytes(10_000_000))
signal.pause()
"""
MEMORY = Bounds(memory_bytes=100_000_000, processes=None)
PROCESSES = Bounds(processes=40)


@pytest.fixture
def without_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where no control group can be made."""
    monkeypatch.setattr(confinement, "make_group", lambda *_: Group())


@pytest.fixture
def groups() -> None:
    group = make_group("test", str(os.getpid()), Bounds(memory_bytes=10**9, processes=100))
    can = group.memory and group.processes
    group.remove()
    if not can:
        leave_out("no control group can be made here: run as root, or with delegated groups")


def test_memory_is_bounded_by_a_group(groups: None, starter: Starter) -> None:
    ended = starter.python(HOG, sandbox_limits=starter.sandbox_limits(bounds=MEMORY))

    assert ended.status in {-signal.SIGKILL, 128 + signal.SIGKILL}
    assert ended.broken_bound == "memory"


def test_memory_is_bounded_by_counting(without_groups: None, starter: Starter) -> None:
    ended = starter.python(HOG, sandbox_limits=starter.sandbox_limits(bounds=MEMORY))

    assert ended.status in {-signal.SIGKILL, 128 + signal.SIGKILL}
    assert ended.broken_bound == "memory"


@pytest.mark.parametrize("place", ["memfd", "/tmp/kept"])
def test_files_in_memory_are_bounded_by_counting(without_groups: None, starter: Starter, place: str) -> None:
    ended = starter.python(KEEP, place, sandbox_limits=starter.sandbox_limits(bounds=MEMORY))

    assert ended.broken_bound == "memory"


def test_processes_are_bounded_by_a_group(groups: None, either_starter: Starter) -> None:
    ended = either_starter.python(BOMB, sandbox_limits=either_starter.sandbox_limits(bounds=PROCESSES))

    assert "BlockingIOError" in ended.errors
    assert ended.broken_bound == "processes"


def test_processes_are_bounded_by_counting(without_groups: None, either_starter: Starter) -> None:
    ended = either_starter.python(BOMB, sandbox_limits=either_starter.sandbox_limits(bounds=PROCESSES))

    # An ordinary user's are refused by the kernel, and root's are counted.
    assert ended.broken_bound == "processes" or "BlockingIOError" in ended.errors


def test_one_file_is_bounded(starter: Starter) -> None:
    sandbox_limits = starter.sandbox_limits(bounds=Bounds(processes=None, file_bytes=1000))

    ended = starter.run("sh", "-c", "head -c 5000 /dev/zero > big", sandbox_limits=sandbox_limits)

    assert ended.status != 0
    assert (starter.workspace / "big").stat().st_size == 1000


def test_a_group_is_not_seen_from_inside_and_gone_afterwards(groups: None, either_starter: Starter) -> None:
    started = either_starter.start(
        "cat", "/proc/self/cgroup", sandbox_limits=either_starter.sandbox_limits(bounds=PROCESSES)
    )
    folders = list(started.enclosed._guarded.group.outer)  # type: ignore[attr-defined]
    ended = started.end()

    assert folders
    assert not any(folder.exists() for folder in folders)
    assert "aiworker" not in ended.output
    assert "pids:/\n" in ended.output or "0::/\n" in ended.output
