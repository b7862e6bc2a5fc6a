from __future__ import annotations

import subprocess
import sys

import psutil

from tests.e2e.instance import wait_until
from tests.processes import child_processes, command_words, is_running_process


def test_one_that_runs_has_a_name_and_arguments() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()", "mark"], stdin=subprocess.PIPE) as process:
        found = psutil.Process(process.pid)
        wait_until("the program to begin", lambda: "mark" in command_words(found))

        assert is_running_process(process.pid)
        assert found in child_processes(psutil.Process())
        assert command_words(found) == [found.name(), sys.executable, "-c", "input()", "mark"]


def test_one_that_has_ended_has_none_before_it_is_collected_and_after() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()", "mark"], stdin=subprocess.PIPE)
    found = psutil.Process(process.pid)
    process.kill()
    wait_until("the zombie", lambda: found.status() == psutil.STATUS_ZOMBIE)

    assert not is_running_process(process.pid)
    assert command_words(found) == []

    process.communicate()
    assert not is_running_process(process.pid)
    assert child_processes(found) == []
    assert command_words(found) == []
