"""Children die with their parent and as a group, and their ends are put into words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from common.machine.processes.children import base_environment, has_ended, kill_group
from tests.e2e.instance import wait_until
from tests.processes import is_running_process
from tests.servers import ROOT

PARENT = """
import subprocess, sys
from common.machine.processes.children import tied_to_parent
sleeper = "import signal; print(1, flush=True); signal.pause()"
child = subprocess.Popen([*tied_to_parent(), sys.executable, "-c", sleeper], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


def test_a_tied_child_dies_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running_process(child)
        parent.kill()

    wait_until("the child to die", lambda: not is_running_process(child))


def test_a_group_is_killed_whole_and_again() -> None:
    script = "sleep 60 & echo $!; wait"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    with process:
        assert process.stdout is not None
        inner = int(process.stdout.readline())
        assert not has_ended(process.pid)

        kill_group(process.pid)
        wait_until("the leader to die", lambda: has_ended(process.pid))

        # It is still there to be waited for, and its number is nobody else's.
        assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
        wait_until("the child in the background to die", lambda: not is_running_process(inner))
        kill_group(process.pid, signal.SIGTERM)
    assert process.returncode == -signal.SIGKILL
    kill_group(process.pid)


@pytest.mark.usefixtures("no_named_certificates")
def test_a_child_is_given_three_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    monkeypatch.delenv("AIWORKER_SANDBOX", raising=False)
    monkeypatch.setenv("AIWORKER_SECRET", "secret")

    assert base_environment(Path("/home/a")) == {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/a", "LANG": "C.UTF-8"
    }  # fmt: skip
    assert os.environ["AIWORKER_SECRET"] == "secret"
