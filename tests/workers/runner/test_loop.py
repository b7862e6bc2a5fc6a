"""The agent's process against a real HTTP server that models the platform."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from common.values.claimed_run import ClaimedRun
from common.values.json_codec import camel_case, decode
from tests.workers.broken_git import KILLED, NO_ROOM, BrokenGit, broken_git
from tests.workers.runner.runner_platform import (
    Platform,
    PlatformRun,
    eventually,
    git,
    make_repository,
    running_platform,
)
from workers.runner import attempt
from workers.runner.attempt import Attempt

__all__ = ["broken_git"]

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def platform() -> Iterator[Platform]:
    with running_platform() as running:
        yield running


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "forge")


@pytest.fixture
def start(platform: Platform, tmp_path: Path) -> Iterator[Start]:
    """Starts `python -m workers.runner`; whatever still runs is killed at the end."""
    started: list[subprocess.Popen[bytes]] = []
    (tmp_path / "enrolment").write_text("enrol-1\n")

    def begin(*arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        with (tmp_path / "agent.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "workers.runner", "--url", platform.url, "--name", "pod-1",
                 "--token-file", str(tmp_path / "enrolment"), "--work-dir", str(tmp_path / "agent"), *arguments],
                env=os.environ | {"AIWORKER_HEARTBEAT_SECONDS": "0.1", "AIWORKER_SECRET": "s3cret"} | environ,
                cwd=Path(__file__).parents[3],
                stderr=log,
            )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def steps(*lines: str) -> str:
    return "Please do this.\n\n```steps\n" + "\n".join(lines) + "\n```\n"


def ended(run: PlatformRun) -> dict[str, str]:
    report = eventually(lambda: run.finish, f"the run is reported; its log: {run.log}")
    assert isinstance(report, dict)
    return report


def head(repository: Path, branch: str = "task-1") -> str:
    return git("rev-parse", f"refs/heads/{branch}", cwd=repository)


def test_a_run_is_claimed_done_pushed_and_reported(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    run = platform.add_run("run-1", repository, steps("- write: {path: hello.txt, content: Hi}", "- say: Said hello"))

    start("--capabilities", "python,node", "--slots", "2")

    assert ended(run) == {"outcome": "completed", "summary": "Said hello", "commitSha": head(repository)}
    message = git("log", "-1", "--format=%an <%ae>%n%B", "task-1", cwd=repository)
    assert message == "AI agent <agent@aiworker.invalid>\nDo it\n\nSaid hello\n\nTask: task-id-1\nRound: 1"
    assert git("show", "task-1:hello.txt", cwd=repository) == "Hi"
    assert {("tool", "write hello.txt"), ("text", "Said hello")} <= {(it["kind"], it["message"]) for it in run.lines}
    assert platform.registrations[0] | {"version": ""} == {
        "podName": "pod-1", "capabilities": ["python", "node"], "driver": "scripted", "version": "", "slots": 2,
    }  # fmt: skip
    eventually(lambda: ["run-1"] in platform.heartbeats and platform.heartbeats[-1] == [], "heartbeats name the run")
    assert list((tmp_path / "agent" / "runs").iterdir()) == []


def test_a_run_without_changes_completes_at_the_branchs_head(
    platform: Platform, repository: Path, start: Start
) -> None:
    before = head(repository)
    run = platform.add_run("run-1", repository, steps("- run: 'true'"))
    start()
    assert ended(run)["commitSha"] == before == head(repository)


def test_the_agents_token_is_kept_and_used_after_a_restart(platform: Platform, start: Start, tmp_path: Path) -> None:
    first = start()
    eventually(lambda: platform.heartbeats, "the first process is there")
    first.kill()
    first.wait()
    kept = tmp_path / "agent" / "agent.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text())["token"] == "agent-token-1"
    (tmp_path / "enrolment").unlink()
    seen = len(platform.heartbeats)

    start()

    eventually(lambda: len(platform.heartbeats) > seen, "the second process is there")
    assert len(platform.registrations) == 1


def test_a_revoked_agent_enrols_again_and_no_token_is_logged(platform: Platform, start: Start, tmp_path: Path) -> None:
    start()
    eventually(lambda: platform.heartbeats, "the agent is there")
    (tmp_path / "enrolment").write_text("enrol-2")
    with platform.lock:
        platform.enrolment_tokens.add("enrol-2")
        platform.agent_tokens.clear()
        seen = len(platform.heartbeats)

    eventually(lambda: len(platform.heartbeats) > seen, "the agent is there again")

    assert len(platform.registrations) == 2
    log = (tmp_path / "agent.log").read_text()
    assert "agent's token was rejected" in log
    assert not any(secret in log for secret in ("enrol-1", "enrol-2", "agent-token-1", "agent-token-2"))


@pytest.mark.parametrize("content", ["enrol-used-up", "", None])
def test_without_a_good_enrolment_token_it_ends_with_one_line(
    platform: Platform, start: Start, tmp_path: Path, content: str | None
) -> None:
    if content is None:
        (tmp_path / "enrolment").unlink()
    else:
        (tmp_path / "enrolment").write_text(content)

    assert start().wait(30) == 1

    (line,) = (tmp_path / "agent.log").read_text().splitlines()
    assert line.startswith("aiworker agent: ")
    assert "enrolment" in line
    assert "enrol-used-up" not in line


def test_an_unknown_driver_ends_it_with_one_line(platform: Platform, start: Start, tmp_path: Path) -> None:
    assert start("--driver", "telepathy").wait(30) == 1
    assert (tmp_path / "agent.log").read_text() == (
        "aiworker agent: there is no driver 'telepathy'; choose one of: scripted\n"
    )


def test_two_agents_never_share_a_work_directory(platform: Platform, start: Start) -> None:
    start()
    eventually(lambda: platform.heartbeats, "the first agent is there")
    assert start().wait(30) == 1


def test_an_answer_in_time_goes_on_in_the_same_run(platform: Platform, repository: Path, start: Start) -> None:
    run = platform.add_run(
        "run-1", repository,
        steps('- ask: {question: "Which colour?", options: [red, blue]}', "- write: {path: c, content: '{{answer}}'}"),
    )  # fmt: skip
    start()
    eventually(lambda: platform.questions, "the question is asked")
    assert platform.questions["q-1"]["options"] == ["red", "blue"]

    platform.answer("blue")

    assert ended(run)["outcome"] == "completed"
    assert git("show", "task-1:c", cwd=repository) == "blue"


def test_an_open_question_checkpoints_and_the_answer_resumes_at_that_step(
    platform: Platform, repository: Path, start: Start
) -> None:
    description = steps(
        "- append: {path: app.txt, content: 'three'}",
        "- ask: 'Which colour?'",
        "- write: {path: colour.txt, content: 'it is {{answer}}'}",
    )
    first = platform.add_run("run-1", repository, description)
    start(AIWORKER_ASK_HOLD_SECONDS="0")
    report = ended(first)
    assert report["outcome"] == "waiting"
    assert report["commitSha"] == head(repository)
    assert git("log", "-1", "--format=%s", "task-1", cwd=repository) == "Work so far: Do it"

    platform.answer("green")
    second = platform.add_run("run-2", repository, description)

    assert ended(second)["outcome"] == "completed"
    assert git("show", "task-1:app.txt", cwd=repository) == "one two\nthree"
    assert git("show", "task-1:colour.txt", cwd=repository) == "it is green"
    assert "append" not in second.log
    assert len(platform.questions) == 1


def test_each_round_follows_its_own_block(platform: Platform, repository: Path, start: Start) -> None:
    both = steps("- write: {path: a, content: first}") + steps("- write: {path: a, content: second}")
    start()
    for number, content in ((1, "first"), (2, "second"), (3, "second")):
        assert ended(platform.add_run(f"run-{number}", repository, both, round=number))["outcome"] == "completed"
        assert git("show", "task-1:a", cwd=repository) == content


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


@pytest.mark.parametrize("line", ["- sleep: 300", "- ask: Really?"])
def test_what_only_waits_is_cancelled_too(platform: Platform, repository: Path, start: Start, line: str) -> None:
    run = platform.add_run("run-1", repository, steps(line))
    start(AIWORKER_ASK_HOLD_SECONDS="300")
    eventually(lambda: "sleep" in run.log or platform.questions, "the run waits")
    platform.direct({"runId": "run-1", "do": "cancel"})
    assert ended(run)["outcome"] == "cancelled"


def test_a_run_that_is_over_is_dropped_without_a_report(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    command = f"echo $$ > {pid}; while true; do echo tick; sleep 0.1; done"
    run = platform.add_run("run-1", repository, steps(f'- run: "{command}"'))
    start()
    eventually(lambda: "tick" in run.log, "the run works")

    run.is_over = True

    eventually(lambda: not psutil.pid_exists(int(pid.read_text())), "the command is killed")
    eventually(lambda: platform.heartbeats[-1] == [], "the run is no longer named")
    assert run.finish is None
    assert not any("finish" in call for call in platform.seen)


def test_a_platform_that_fails_and_restarts_loses_nothing(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    platform.failures = {"register": [500, 503], "claim": [502], "logs": [500], "finish": [500], "heartbeat": [500]}
    command = f"echo started; until [ -e {go} ]; do sleep 0.05; done; echo went on"
    run = platform.add_run("run-1", repository, steps(f'- run: "{command}"', "- write: {path: a, content: b}"))
    start()
    eventually(lambda: "started" in run.log, "the run works")

    platform.stop()
    go.touch()
    platform.start()

    assert ended(run)["outcome"] == "completed"
    assert [line["message"] for line in run.lines if line["message"] in {"started", "went on"}] == [
        "started", "went on",
    ]  # fmt: skip
    assert ended(run)["commitSha"] == head(repository)


def test_an_agent_waits_for_a_platform_that_is_not_there_yet(platform: Platform, start: Start) -> None:
    platform.stop()
    process = start()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    platform.start()
    eventually(lambda: platform.heartbeats, "the agent is there")


def test_a_run_that_is_handed_out_again_goes_on_with_its_new_token(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    command = f"echo started; until [ -e {go} ]; do sleep 0.05; done"
    run = platform.add_run("run-1", repository, steps(f'- run: "{command}"'))
    start("--slots", "2")
    eventually(lambda: "started" in run.log, "the run works")

    with platform.lock:
        run.claim["run"]["token"] = "another"
        run.state = "waiting to be claimed"
        platform.lock.notify_all()
    eventually(lambda: run.state == "claimed", "it is claimed again")
    go.touch()

    assert ended(run)["outcome"] == "completed"
    assert run.log.count("started") == 1 + run.log.count(command)


def test_a_drained_agent_finishes_what_it_has_and_exits(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    command = f"echo started; until [ -e {go} ]; do sleep 0.05; done"
    run = platform.add_run("run-1", repository, steps(f'- run: "{command}"'))
    process = start()
    eventually(lambda: "started" in run.log, "the run works")
    platform.direct({"do": "drain"})
    eventually(lambda: not platform.directives, "the agent knows")
    later = platform.add_run("run-2", repository, steps("- say: never"))

    go.touch()

    assert process.wait(30) == 0
    assert ended(run)["outcome"] == "completed"
    assert later.state == "waiting to be claimed"


def test_sigterm_ends_an_idle_agent_at_once(platform: Platform, start: Start) -> None:
    process = start()
    eventually(lambda: "POST /runner/claim" in platform.seen, "the agent waits for a run")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.parametrize(("signals", "drain_seconds", "code"), [(1, "0.2", 0), (2, "300", 1)])
def test_sigterm_is_a_drain_with_a_bound_and_a_second_one_ends_it(
    platform: Platform, repository: Path, start: Start, tmp_path: Path, signals: int, drain_seconds: str, code: int
) -> None:
    pid = tmp_path / "pid"
    run = platform.add_run("run-1", repository, steps(f'- run: "echo $$ > {pid}; echo started; sleep 300"'))
    process = start(AIWORKER_DRAIN_SECONDS=drain_seconds)
    eventually(lambda: "started" in run.log, "the run works")

    for _ in range(signals):
        process.send_signal(signal.SIGTERM)
        # Two signals at once are one for the kernel: the second must come after the first was taken.
        eventually(lambda: process.poll() is not None or _has_no_pending(process.pid), "the signal is taken")

    assert process.wait(30) == code
    eventually(lambda: not psutil.pid_exists(int(pid.read_text())), "the command is killed")
    assert run.finish is None


def _has_no_pending(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return all(int(line.split()[1], 16) == 0 for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd")))


def test_a_killed_agents_commands_are_killed_by_the_next_one(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    run = platform.add_run("run-1", repository, steps(f'- run: "echo $$ > {pid}; echo started; sleep 300"'))
    process = start()
    eventually(lambda: "started" in run.log, "the run works")
    process.kill()
    process.wait()

    start()

    eventually(lambda: not psutil.pid_exists(int(pid.read_text())), "the command is killed")
    eventually(lambda: list((tmp_path / "agent" / "runs").iterdir()) == [], "its workspace is removed")


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("Just make it nice", "needs a fenced block tagged `steps`"),
        (steps("- fail: No can do"), "Step 1: No can do"),
        (steps("- run: 'echo oh no; exit 3'"), "ended with exit code 3\noh no"),
        (steps("- replace: {path: app.txt, old: absent, new: x}"), "does not contain the text to replace"),
    ],
)
def test_a_run_that_can_not_be_done_fails_plainly(
    platform: Platform, repository: Path, start: Start, description: str, reason: str
) -> None:
    before = head(repository)
    run = platform.add_run("run-1", repository, description)
    start()
    report = ended(run)
    assert report["outcome"] == "failed"
    assert reason in report["reason"]
    assert reason.splitlines()[-1] in run.log
    assert head(repository) == before


def test_a_run_that_takes_too_long_fails(platform: Platform, repository: Path, start: Start) -> None:
    run = platform.add_run("run-1", repository, steps("- sleep: 300"), limits={"maxMinutes": 0.02})
    start()
    assert ended(run) == {"outcome": "failed", "summary": "", "reason": "The run took longer than 0.02 minutes."}


def test_a_branch_that_is_not_there_fails_the_run(platform: Platform, repository: Path, start: Start) -> None:
    run = platform.add_run("run-1", repository, steps("- say: hi"), branch="gone")
    start()
    assert "gone" in ended(run)["reason"]


@pytest.mark.parametrize(("verb", "how"), [("push", KILLED), ("clone", KILLED), ("commit", NO_ROOM)])
def test_a_step_of_git_that_the_machine_ended_is_made_again(
    platform: Platform, repository: Path, start: Start, broken_git: BrokenGit, verb: str, how: str
) -> None:
    broken_git.end(verb, how, times=3)
    run = platform.add_run("run-1", repository, steps("- write: {path: a.txt, content: a}"))
    start()

    assert ended(run)["outcome"] == "completed"
    assert broken_git.left == 0


def test_a_machine_that_ends_it_every_time_gives_the_run_back_and_fails_no_task(
    platform: Platform, repository: Path, start: Start, broken_git: BrokenGit
) -> None:
    broken_git.end("push", KILLED, times=100)
    run = platform.add_run("run-1", repository, steps("- write: {path: a.txt, content: a}"))
    start()

    report = ended(run)
    assert (report["outcome"], report["cutShort"]) == ("cancelled", True)
    assert "git push was killed by SIGKILL" in report["reason"]
    assert broken_git.left == 100 - 4


def _execute(platform: Platform, run: PlatformRun, folder: Path) -> None:
    claimed = decode(ClaimedRun, run.claim, key_of=camel_case)
    Attempt(claimed, url=platform.url, directory=folder, default_driver="scripted", ask_hold_seconds=1).execute()


def test_a_command_that_fails_on_a_full_disk_fails_no_task(
    platform: Platform, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever this machine has free is too little."""
    description = steps("- run: exit 1")
    failed = platform.add_run("run-1", repository, description)
    _execute(platform, failed, tmp_path / "run-1")
    monkeypatch.setattr(attempt, "LEAST_FREE_BYTES", 2**62)
    full = platform.add_run("run-2", repository, description)
    _execute(platform, full, tmp_path / "run-2")

    assert ended(failed)["outcome"] == "failed"
    assert (ended(full)["outcome"], ended(full)["cutShort"]) == ("cancelled", True)
    assert "this agent's disk is full" in ended(full)["reason"]
