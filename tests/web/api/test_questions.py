"""The life of a question: asked, waited for, answered in time or later, and withdrawn."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from common.models.agent import Agent
from common.models.task import Question
from common.services import sweeping
from common.services.requests.access import acting
from common.services.tasks import question_deadlines
from common.transaction import Transaction, transactional
from common.values.states import Role
from tests.web.api.questioning_run import QuestioningRun
from tests.web.world import SHA, World, at_once, events, get, put


@pytest.fixture
def asking(world: World) -> QuestioningRun:
    return QuestioningRun(world)


# Answered in time, and later


def test_an_answer_within_the_hold_continues_the_very_run(asking: QuestioningRun) -> None:
    question = asking.ask()
    assert asking.state == ("needs_input", None)

    assert asking.answer(question) == 200

    assert asking.state == ("in_progress", "working")
    shown = asking.run.get(f"{asking.path}/questions/{question}?wait=5").json["question"]
    assert (shown["response"], shown["respondedBy"]) == ("blue", "maxim")
    asking.finish("completed", commitSha=SHA)
    assert asking.state == ("in_progress", "verifying")


def test_an_answer_after_the_run_resumes_its_session_on_another_agent(asking: QuestioningRun) -> None:
    question = asking.ask()
    session = asking.run.put(f"{asking.path}/session", data=b"session", content_type="application/octet-stream")
    assert session.status_code == 204
    asking.finish("waiting")
    assert asking.state == ("needs_input", None)
    assert get(Agent, asking.agent_id).state_ == "idle"
    assert asking.agent.post("/api/runner/claim", json={}).status_code == 204

    assert asking.answer(question) == 200

    assert asking.state == ("in_progress", "queued")
    put(Agent, asking.agent_id, state_="draining")
    other, _other_id = asking.world.agent()
    claim = asking.resume(other)
    assert (claim["task"]["id"], claim["hasSession"]) == (asking.task_id, True)
    assert "The answer: blue" in claim["prompt"]
    assert asking.run.get(f"{asking.path}/session").data == b"session"
    assert asking.ask() == question  # the stored one, with its answer


def test_of_two_open_questions_the_last_answer_continues_the_task(asking: QuestioningRun) -> None:
    first, second = asking.ask("One?"), asking.ask("Two?")
    asking.finish("waiting")

    assert asking.answer(second, "2") == 200
    assert asking.state == ("needs_input", None)
    assert asking.answer(first, "1") == 200

    assert asking.state == ("in_progress", "queued")
    prompt = asking.resume()["prompt"]
    assert "The answer: 1" in prompt
    assert "The answer: 2" in prompt


def test_of_two_answers_one_counts(asking: QuestioningRun) -> None:
    question = asking.ask()
    clients = [asking.world.app_client(), asking.world.app_client()]

    replies = at_once(
        lambda: asking.answer(question, "red", clients[0]), lambda: asking.answer(question, "blue", clients[1])
    )

    assert sorted(replies) == [200, 409]
    winner = ["red", "blue"][replies.index(200)]
    assert asking.question(question)["response"] == winner
    assert len(events("question:answered", of=question)) == 1


# Withdrawn


def test_a_question_is_withdrawn_when_its_agent_finishes_without_the_answer(asking: QuestioningRun) -> None:
    question = asking.ask()
    asking.finish("completed", commitSha=SHA)

    assert asking.state == ("in_progress", "verifying")
    assert asking.question(question)["status"] == "withdrawn"
    assert asking.answer(question) == 409


# Those that do not block


def test_a_question_that_does_not_block_holds_nothing_up(asking: QuestioningRun) -> None:
    question = asking.ask(blocking=False)

    assert asking.state == ("in_progress", "working")
    assert asking.question(question)["blocking"] is False
    assert asking.answer(question) == 200
    assert asking.state == ("in_progress", "working")
    shown = asking.world.client.get(f"/api/tasks/{asking.task_id}").json["task"]["comments"]
    assert [(comment["kind"], comment["author"], comment["body"]) for comment in shown] == [
        ("message", "maxim", "You asked: Which colour?\nThe answer: blue")
    ]


RULES = {"remindMinutes": 30, "deadlineMinutes": 60}


@transactional
def pass_time(tx: Transaction, question_id: str, minutes: float) -> None:
    """Everything about the question happened so much earlier."""
    question = tx.get(Question, question_id)
    for name in ("asked_at", "remind_at", "deadline_at"):
        at = getattr(question, name)
        if at is not None:
            setattr(question, name, at - timedelta(minutes=minutes))


def sweep() -> None:
    """Twice, as a second beat would."""
    with acting("platform"):
        sweeping.sweep_old()
        sweeping.sweep_old()


# Nobody answers


def test_a_reminder_comes_once_and_names_whom_it_asks(world: World) -> None:
    world.client_of("mia", Role.MEMBER)
    asking = QuestioningRun(world, question_rules={**RULES, "escalateTo": "mia"})
    question = asking.ask()
    pass_time(question, 29)
    sweep()
    assert "escalatedTo" not in asking.question(question)

    pass_time(question, 2)
    sweep()

    shown = asking.question(question)
    assert (shown["escalatedTo"], shown["status"], "remindAt" in shown) == ("mia", "pending", False)
    [reminder] = events("question:reminded", of=question)
    assert '"escalatedTo":"mia"' in reminder.data
    assert asking.answer(question) == 200


def test_at_the_deadline_the_task_fails_and_says_so(world: World) -> None:
    asking = QuestioningRun(world, question_rules=RULES)
    question = asking.ask()
    asking.finish("waiting")
    pass_time(question, 61)

    sweep()

    assert asking.state == ("failed", None)
    shown = asking.world.client.get(f"/api/tasks/{asking.task_id}").json["task"]
    assert shown["error"] == "nobody answered within 60 minutes: Which colour?"
    assert asking.question(question)["status"] == "withdrawn"
    assert asking.answer(question) == 409
    assert events("question:reminded", of=question) == []
    assert len(events("task:status_changed", of="failed")) == 1


def test_at_the_deadline_the_default_answer_counts_where_the_project_says_so(world: World) -> None:
    asking = QuestioningRun(world, question_rules={**RULES, "onDeadline": "default"})
    question = asking.ask(defaultResponse="grey")
    asking.finish("waiting")
    pass_time(question, 61)

    sweep()

    shown = asking.question(question)
    assert (shown["status"], shown["response"], shown["respondedBy"]) == ("answered", "grey", "default")
    assert asking.state == ("in_progress", "queued")
    assert len(events("question:answered", of=question)) == 1
    assert asking.answer(question) == 409


def test_the_answer_and_the_deadline_at_once_leave_one_of_them(world: World) -> None:
    asking = QuestioningRun(world, question_rules=RULES)
    question = asking.ask()
    pass_time(question, 61)

    status, _ = at_once(
        lambda: asking.answer(question), lambda: question_deadlines.watch_question(asking.task_id, question)
    )

    expected = (("in_progress", "working"), "answered") if status == 200 else (("failed", None), "withdrawn")
    assert (asking.state, asking.question(question)["status"]) == expected


# The rules


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"deadlineMinutes": 60, "remindMinutes": 60}, "questionRules.remindMinutes"),
        ({"remindMinutes": 5, "escalateTo": "vic"}, "questionRules.escalateTo"),
        ({"deadlineMinutes": 60, "onDeadline": "guess"}, "questionRules.onDeadline"),
    ],
)
def test_rules_that_can_not_hold_are_refused(world: World, rules: Any, field: str) -> None:
    world.client_of("vic", Role.VIEWER)
    project = world.project()
    path = f"/api/projects/{project.id}"
    reply = world.client.patch(path, json={"questionRules": rules})
    assert (reply.status_code, reply.json["details"]["field"]) == (400, field)
    assert world.client.get(path).json["project"]["questionRules"] == {}
    created = world.client.post("/api/projects", json={"name": "Other", "questionRules": rules})
    assert (created.status_code, created.json["details"]["field"]) == (400, field)
