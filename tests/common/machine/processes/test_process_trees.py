"""Processes are found by what they are, and a tree is killed with those that left its group."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess

import psutil

from common.machine.processes.process_trees import environment_of, find_processes, kill_tree, signal_processes
from tests.e2e.instance import wait_until
from tests.processes import is_running_process


def test_a_tree_is_killed_with_what_left_its_group() -> None:
    script = "setsid sh -c 'echo $$; exec sleep 60' & wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        outside = int(process.stdout.readline())
        assert os.getsid(outside) != process.pid

        kill_tree(process.pid)

    wait_until("what left the group to die", lambda: not is_running_process(outside))
    kill_tree(process.pid)


def test_processes_are_found_by_their_environment_but_never_this_one_or_the_dead() -> None:
    mark = secrets.token_hex(8)
    command = ["sh", "-c", "echo; exec sleep 60"]
    with subprocess.Popen(command, env=os.environ | {"MARK": mark}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()

        assert [found.pid for found in find_processes(lambda each: environment_of(each).get("MARK") == mark)] == [
            process.pid
        ]
        assert list(find_processes(lambda each: each.pid == os.getpid())) == []

        assert signal_processes([psutil.Process(process.pid)], signal.SIGKILL) == 1
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert list(find_processes(lambda each: each.pid == process.pid)) == []
