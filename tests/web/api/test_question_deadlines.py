"""Questions that nobody answers: reminders, escalation, deadlines and default answers, by the project's rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from common.models.task import Question
from common.services import sweeping
from common.services.access import acting
from common.services.tasks import question_deadlines
from common.states import Role
from common.transaction import Transaction, transactional
from tests.web.api.asking import Asking
from tests.web.world import World, at_once, events

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
    asking = Asking(world, question_rules={**RULES, "escalateTo": "mia"})
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
    asking = Asking(world, question_rules=RULES)
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
    asking = Asking(world, question_rules={**RULES, "onDeadline": "default"})
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
    asking = Asking(world, question_rules=RULES)
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
