"""How a run and its agent end before the work is done: cancelled, dropped, drained, killed, failed, out of room."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest

from tests.long_waits import LONG_WAIT_SECONDS
from tests.workers.broken_git import KILLED, BrokenGit, broken_git
from tests.workers.runner.runner_platform import (
    Platform,
    Start,
    ended,
    eventually,
    steps,
    wait_for_line,
)

__all__ = ["broken_git"]


@pytest.mark.slow
def test_a_cancelled_run_is_killed_with_all_its_processes(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    command = f"sh -c 'echo $$ >> {pids}; sleep 300' & setsid sh -c 'echo $$ >> {pids}; sleep 300' & sleep 300"
    run = platform.add_run("run-1", repository, steps(f'- run: "{command}"'))
    start()
    eventually(lambda: pids.exists() and len(pids.read_text().split()) == 2, "the command's children run")

    platform.direct({"runId": "run-1", "do": "cancel"})

    assert ended(run)["outcome"] == "cancelled"
    children = [int(pid) for pid in pids.read_text().split()]
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in children), "no child is left")


@pytest.mark.slow
def test_a_run_that_is_over_is_dropped_without_a_report(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    command = f"echo $$ > {pid}; while true; do echo tick; sleep 0.1; done"
    run = platform.add_run("run-1", repository, steps(f'- run: "{command}"'))
    start()
    wait_for_line(run, "tick")

    run.is_over = True

    eventually(lambda: not psutil.pid_exists(int(pid.read_text())), "the command is killed")
    eventually(lambda: platform.heartbeats[-1] == [], "the run is no longer named")
    assert run.finish is None
    assert not any("finish" in call for call in platform.seen)


@pytest.mark.slow
def test_a_drained_agent_finishes_what_it_has_and_exits(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    command = f"echo started; until [ -e {go} ]; do sleep 0.05; done"
    run = platform.add_run("run-1", repository, steps(f'- run: "{command}"'))
    process = start()
    wait_for_line(run, "started")
    platform.direct({"do": "drain"})
    eventually(lambda: not platform.directives, "the agent is told")
    told = len(platform.heartbeats)
    eventually(lambda: len(platform.heartbeats) > told + 1, "a heartbeat after the one that says that it knows")
    said = [body["isDraining"] for body in platform.heartbeat_bodies]
    assert (said[0], said[-1]) == (False, True)
    later = platform.add_run("run-2", repository, steps("- say: never"))

    go.touch()

    assert process.wait(LONG_WAIT_SECONDS) == 0
    assert ended(run)["outcome"] == "completed"
    assert later.state == "waiting to be claimed"


@pytest.mark.slow
@pytest.mark.parametrize(("signals", "drain_seconds", "code"), [(1, "0.2", 0), (2, "300", 1)])
def test_sigterm_is_a_drain_with_a_bound_and_a_second_one_ends_it(
    platform: Platform, repository: Path, start: Start, tmp_path: Path, signals: int, drain_seconds: str, code: int
) -> None:
    pid = tmp_path / "pid"
    run = platform.add_run("run-1", repository, steps(f'- run: "echo $$ > {pid}; echo started; sleep 300"'))
    process = start(AIWORKER_DRAIN_SECONDS=drain_seconds)
    wait_for_line(run, "started")

    process.send_signal(signal.SIGTERM)
    # Two signals at once are one: the second must come after the first was taken.
    eventually(lambda: "told to stop" in (tmp_path / "agent.log").read_text(), "the signal is taken")
    if signals == 2:
        process.send_signal(signal.SIGTERM)

    assert process.wait(LONG_WAIT_SECONDS) == code
    eventually(lambda: not psutil.pid_exists(int(pid.read_text())), "the command is killed")
    assert run.finish is None


@pytest.mark.slow
def test_a_killed_agents_commands_are_killed_by_the_next_one(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    run = platform.add_run("run-1", repository, steps(f'- run: "echo $$ > {pid}; echo started; sleep 300"'))
    process = start()
    wait_for_line(run, "started")
    process.kill()
    process.wait()

    start()

    eventually(lambda: not psutil.pid_exists(int(pid.read_text())), "the command is killed")
    eventually(lambda: list((tmp_path / "agent" / "runs").iterdir()) == [], "its workspace is removed")


@pytest.mark.slow
def test_a_machine_that_ends_it_every_time_gives_the_run_back_and_fails_no_task(
    platform: Platform, repository: Path, start: Start, broken_git: BrokenGit
) -> None:
    broken_git.end("push", KILLED, times=100)
    run = platform.add_run("run-1", repository, steps("- write: {path: a.txt, content: a}"))
    start()

    report = ended(run)
    assert (report["outcome"], report["cutShort"]) == ("cancelled", True)
    assert "git push was killed by SIGKILL" in report["reason"]
    # Four tries, and one to keep the work at least.
    assert broken_git.left == 100 - 5
