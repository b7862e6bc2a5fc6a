"""What a run is told: everything at first, and only what is new when its session goes on."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from flask.testing import FlaskClient

from common.models import Attachment, Run, Task
from common.services.proof.verification import CheckResult, refuse
from common.services.tasks import questions, tasks
from common.services.tasks.tasks import NewComment
from common.transaction import Transaction, transactional
from tests.web.world import World, get, put


@transactional
def attach(tx: Transaction, task_id: str) -> None:
    tx.add(
        Attachment(
            task_id=task_id, name="screen.png", media_type="image/png", size_bytes=3, content=b"png", added_by="max",
            added_at=tx.now(),
        )
    )  # fmt: skip


@transactional
def refused(tx: Transaction, task_id: str, log: str) -> None:
    refuse(tx, tx.lock(Task, task_id), CheckResult("tests", "failed", "The tests fail.", code="tests_failed", log=log))


def path_of(claim: dict[str, Any]) -> str:
    return f"/api/runner/runs/{claim['run']['id']}"


def keep_session(run: FlaskClient, claim: dict[str, Any]) -> None:
    reply = run.put(f"{path_of(claim)}/session", data=b"kept", content_type="application/octet-stream")
    assert reply.status_code == 204


def ask(run: FlaskClient, claim: dict[str, Any], question: str) -> str:
    asked: str = run.post(f"{path_of(claim)}/questions", json={"question": question}).json["question"]["id"]
    return asked


def finish(run: FlaskClient, claim: dict[str, Any], outcome: str) -> None:
    body = {"outcome": outcome, "summary": "", "commitSha": "b" * 40}
    assert run.post(f"{path_of(claim)}/finish", json=body).status_code == 200


def make_ready(claim: dict[str, Any]) -> None:
    """As after a proof."""
    put(Task, claim["task"]["id"], state_="ready_to_test", phase_=None, head_sha="b" * 40)


def test_the_first_prompt_holds_everything(world: World) -> None:
    project = world.project(has_repository=True, test_command="make test", agent_instructions="Write short functions.")
    task = world.task(project, title="Greet", description="Say hello to people.")
    attach(task.id)
    tasks.comment_on_task(task.id, NewComment("Mind this", path="app.py", line=3), by=world.max)
    agent, _agent_id = world.agent()

    _run, claim = world.claim(agent)

    prompt = claim["prompt"]
    assert claim["freshPrompt"] == prompt
    told = get(Run, claim["run"]["id"])
    assert told.prompt_digest == told.fresh_prompt_digest == hashlib.sha256(prompt.encode()).hexdigest()
    assert claim["attachments"][0].items() >= {"name": "screen.png", "mediaType": "image/png", "sizeBytes": 3}.items()
    wanted = [
        "# Greet", "Say hello to people.", "- {attachments}/screen.png (image/png, 3 bytes)", "# Rules",
        "`ask_user_question`", "no answer yet", "`report_progress`", "`request_review`", "`make test`",
        "Write short functions.", "\n{repository-instructions}\n", "# A remark", "Mind this", "\napp.py:3\n",
        "{code-around app.py:3}",
    ]  # fmt: skip
    places = [prompt.find(text) for text in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    assert places == sorted(places)
    assert "git log" not in prompt


@pytest.mark.slow
def test_a_resumed_session_is_told_the_rejection_and_nothing_else(world: World) -> None:
    project = world.project(has_repository=True, agent_instructions="Write short functions.")
    world.task(project, title="Greet", description="Say hello to people.")
    agent, _agent_id = world.agent()
    run, first = world.claim(agent)
    question = ask(run, first, "Which colour?")
    questions.answer_question(first["task"]["id"], question, "blue", by=world.max)
    keep_session(run, first)
    finish(run, first, "completed")
    make_ready(first)
    comments = [NewComment("Too loud", path="app.py", line=7), NewComment("Nice otherwise")]
    tasks.reject_task(first["task"]["id"], reason="Not friendly", comments=comments, by=world.max)

    _run, second = world.claim(agent)

    assert second["hasSession"] is True
    assert second["prompt"] == (
        "# A reviewer sent your work back\n\nNot friendly\n\napp.py:7: Too loud\n\n"
        f"{{code-around app.py:7@{'b' * 40}}}\n\nIn general: Nice otherwise"
    )
    told = get(Run, second["run"]["id"])
    assert told.prompt_digest == hashlib.sha256(second["prompt"].encode()).hexdigest()
    assert told.fresh_prompt_digest == hashlib.sha256(second["freshPrompt"].encode()).hexdigest()
    fresh = second["freshPrompt"]
    for text in ("Say hello to people.", "Write short functions.", "blue", "Not friendly", "Too loud", "git log"):
        assert text in fresh, text
    assert agent.post("/api/runner/claim", json={}).json == second


def test_an_answer_that_the_run_got_itself_is_not_repeated(world: World) -> None:
    world.task(world.project(has_repository=True))
    agent, _agent_id = world.agent()
    run, first = world.claim(agent)
    task_id = first["task"]["id"]
    questions.answer_question(task_id, ask(run, first, "Which colour?"), "blue", by=world.max)
    open_one = ask(run, first, "Which size?")
    keep_session(run, first)
    finish(run, first, "waiting")
    questions.answer_question(task_id, open_one, "large", by=world.max)

    _run, second = world.claim(agent)

    assert second["prompt"] == "# An answer\n\nYou asked: Which size?\nThe answer: large"
    assert [item["body"] for item in second["feedback"]] == ["You asked: Which size?\nThe answer: large"]
    assert "blue" in second["freshPrompt"]
    assert "large" in second["freshPrompt"]


def test_failed_checks_come_with_the_end_of_their_log(world: World) -> None:
    world.task(world.project(has_repository=True))
    agent, _agent_id = world.agent()
    run, first = world.claim(agent)
    task_id = first["task"]["id"]
    keep_session(run, first)
    finish(run, first, "completed")
    refused(task_id, "begin\n" + "x" * 5000 + "\nAssertionError: 3 != 4\n")

    run, second = world.claim(agent)

    assert second["prompt"].startswith(
        "# The platform could not prove your work\n\ntests_failed: The tests fail.\n\nxxx"
    )
    assert second["prompt"].endswith("AssertionError: 3 != 4\n")
    assert "begin" not in second["prompt"]
    keep_session(run, second)
    finish(run, second, "completed")
    refused(task_id, "another log")
    _run, third = world.claim(agent)
    assert "3 != 4" not in third["prompt"]
    earlier, _, now = third["freshPrompt"].partition("# What was said in earlier rounds")[2].partition("\n# ")
    assert earlier.startswith("\n\n- The platform could not prove your work: tests_failed: The tests fail. xxx")
    assert len(earlier) < 1200
    assert "another log" in now
