"""The agent's process against a real HTTP server that models the platform."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.long_waits import LONG_WAIT_SECONDS
from tests.workers.runner.runner_platform import (
    Platform,
    Start,
    ended,
    eventually,
    git,
    head,
    steps,
    wait_for_line,
)
from workers.runner.enrolment import VERSION

pytestmark = pytest.mark.slow


def test_a_run_is_claimed_done_pushed_and_reported(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    does = ("- write: {path: hello.txt, content: Hi}", f'- run: "until [ -e {go} ]; do sleep 0.05; done"')
    run = platform.add_run("run-1", repository, steps(*does, "- say: Said hello"))

    start("--capabilities", "python,node", "--slots", "2", "--driver", "scripted")
    eventually(lambda: ["run-1"] in platform.heartbeats, "a heartbeat names the run")
    go.touch()

    assert ended(run) == {"outcome": "completed", "summary": "Said hello", "commitSha": head(repository)}
    message = git("log", "-1", "--format=%an <%ae>%n%B", "task-1", cwd=repository)
    assert message == "AI agent <agent@aiworker.invalid>\nDo it\n\nSaid hello\n\nTask: task-id-1\nRound: 1"
    assert git("show", "task-1:hello.txt", cwd=repository) == "Hi"
    assert {("tool", "write hello.txt"), ("text", "Said hello")} <= {(it["kind"], it["message"]) for it in run.lines}
    registered = platform.registrations[0]
    findings = registered.pop("findings")
    assert len(registered.pop("enrolmentId")) >= 32
    assert registered | {"version": ""} == {
        "podName": "pod-1", "capabilities": ["python", "node"], "driver": "scripted", "drivers": ["scripted"],
        "version": "", "slots": 2,
        "sandbox": {"isConfining": False, "says": "commands are not confined: AIWORKER_SANDBOX=off"},
    }  # fmt: skip
    assert {"name": "scripted", "canWork": True, "says": "It needs no program.", "version": None} in findings
    eventually(lambda: platform.heartbeats[-1] == [], "no run is left")
    assert list((tmp_path / "agent" / "runs").iterdir()) == []


def test_the_next_run_comes_in_the_reply_to_a_report(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    does = ("- say: Hello", f'- run: "until [ -e {go} ]; do sleep 0.05; done"', "- say: Hello")
    runs = [platform.add_run(f"run-{number}", repository, steps(it)) for number, it in enumerate(does, start=1)]
    start()
    eventually(lambda: ["run-2"] in platform.heartbeats, "its heartbeat says that the reply arrived")
    go.touch()

    assert [ended(run)["outcome"] for run in runs] == ["completed"] * 3
    assert platform.handed_over == ["run-2", "run-3"]
    eventually(lambda: platform.heartbeats[-1] == [], "no run is left")
    assert list((tmp_path / "agent" / "runs").iterdir()) == []


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

    start("--name", "renamed", "--slots", "3", "--capabilities", "gpu")

    eventually(lambda: len(platform.heartbeats) > seen + 1, "the second process is there")
    assert len(platform.registrations) == 1
    # It enrolled with others, so the platform would go by those.
    first_of_second, *later = platform.heartbeat_bodies[seen:]
    said = {"podName": "renamed", "version": VERSION, "slots": 3, "capabilities": ["gpu"]}
    assert first_of_second | said == first_of_second
    assert [body for body in later if said.keys() & body.keys()] == []


def test_a_revoked_agent_enrols_again_and_no_token_is_logged(platform: Platform, start: Start, tmp_path: Path) -> None:
    start()
    eventually(lambda: platform.heartbeats, "the agent is there")
    (tmp_path / "enrolment").write_text("enrol-2")
    with platform.lock:
        platform.enrolment_tokens.add("enrol-2")
        platform.agent_tokens.clear()
        seen = len(platform.heartbeats)

    eventually(lambda: len(platform.heartbeats) > seen, "the agent is there again")

    assert len({it["enrolmentId"] for it in platform.registrations}) == 2
    log = (tmp_path / "agent.log").read_text()
    assert "agent's token was rejected" in log
    assert not any(secret in log for secret in ("enrol-1", "enrol-2", "agent-token-1", "agent-token-2"))


def test_without_a_good_enrolment_token_it_ends_with_one_line(platform: Platform, start: Start, tmp_path: Path) -> None:
    (tmp_path / "enrolment").write_text("enrol-used-up")

    assert start().wait(LONG_WAIT_SECONDS) == 1

    (line,) = (tmp_path / "agent.log").read_text().splitlines()
    assert line.startswith("aiworker agent: ")
    assert "enrolment" in line
    assert "enrol-used-up" not in line


def test_two_agents_never_share_a_work_directory(platform: Platform, start: Start) -> None:
    start()
    eventually(lambda: platform.heartbeats, "the first agent is there")
    assert start().wait(LONG_WAIT_SECONDS) == 1


def test_an_open_question_checkpoints_and_the_answer_resumes_at_that_step(
    platform: Platform, repository: Path, start: Start
) -> None:
    description = steps(
        "- append: {path: app.txt, content: 'three'}",
        "- ask: 'Which colour?'",
        "- write: {path: colour.txt, content: 'it is {{answer}}'}",
    )
    first = platform.add_run("run-1", repository, description)
    start("--ask-hold-seconds", "0")
    report = ended(first)
    assert report["outcome"] == "waiting"
    assert report["commitSha"] == head(repository)
    assert git("log", "-1", "--format=%s", "task-1", cwd=repository) == "Unfinished: Do it"

    platform.answer("green")
    second = platform.add_run("run-2", repository, description)

    assert ended(second)["outcome"] == "completed"
    assert git("show", "task-1:app.txt", cwd=repository) == "one two\nthree"
    assert git("show", "task-1:colour.txt", cwd=repository) == "it is green"
    assert "append" not in second.log
    assert len(platform.questions) == 1


def test_a_platform_that_fails_and_restarts_loses_nothing(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    platform.failures = {"register": [500, 503], "claim": [502], "logs": [500], "finish": [500], "heartbeat": [500]}
    command = f"echo started; until [ -e {go} ]; do sleep 0.05; done; echo went on"
    run = platform.add_run("run-1", repository, steps(f'- run: "{command}"', "- write: {path: a, content: b}"))
    start()
    wait_for_line(run, "started")

    platform.stop()
    go.touch()
    platform.start()

    assert ended(run)["outcome"] == "completed"
    assert [line["message"] for line in run.lines if line["message"] in {"started", "went on"}] == [
        "started", "went on",
    ]  # fmt: skip
    assert ended(run)["commitSha"] == head(repository)


def test_a_run_that_is_handed_out_again_goes_on_with_its_new_token(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    command = f"echo started; until [ -e {go} ]; do sleep 0.05; done"
    run = platform.add_run("run-1", repository, steps(f'- run: "{command}"'))
    start("--slots", "2")
    wait_for_line(run, "started")

    with platform.lock:
        run.claim["run"]["token"] = "another"
        run.state = "waiting to be claimed"
        platform.lock.notify_all()
    eventually(lambda: run.state == "claimed", "it is claimed again")
    go.touch()

    assert ended(run)["outcome"] == "completed"
    assert run.log.count("started") == 1 + run.log.count(command)
