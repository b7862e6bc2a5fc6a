"""A lock keeps other processes out, and ends with its holder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from common.machine.locks import locked
from tests.e2e.instance import wait_until
from tests.servers import ROOT

HOLD = """
import signal, sys
from pathlib import Path
from common.machine.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    signal.pause()
"""


def test_a_lock_of_another_process_is_met_at_once_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, cwd=ROOT) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(BlockingIOError), locked(path, wait=False):
            pass
        holder.kill()

    with locked(path, wait=False) as descriptor:
        os.write(descriptor, b"mine")
    assert path.read_bytes() == b"mine"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_who_waited_for_a_lock_that_was_removed_keeps_the_next_one_out(tmp_path: Path) -> None:
    """The waiter opened the file that its former holder removed: a lock on it would keep nobody out."""
    path, order = tmp_path / "lock", []
    with locked(path):
        waiter = threading.Thread(target=lambda: _hold(path, order))
        waiter.start()
        wait_until("the waiter to open the lock", lambda: len(_opened(path)) == 2)
        path.unlink()
    wait_until("the waiter to hold the lock", lambda: bool(order))
    with pytest.raises(BlockingIOError), locked(path, wait=False):
        pass
    order.append("tried")
    waiter.join(10)
    assert order == ["held", "tried"]


def _hold(path: Path, order: list[str]) -> None:
    with locked(path):
        order.append("held")
        wait_until("the other one to have tried", lambda: len(order) == 2)


def _opened(path: Path) -> list[str]:
    """The descriptors of this process on the file."""
    links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    return [str(link) for link in links if link.exists() and link.resolve() == path]
