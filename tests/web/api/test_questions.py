"""The life of a question: asked, waited for, answered in time or later, and withdrawn."""

from __future__ import annotations

import pytest

from common.models.agent import Agent
from tests.web.api.asking import Asking
from tests.web.world import SHA, World, at_once, events, get, put


@pytest.fixture
def asking(world: World) -> Asking:
    return Asking(world)


# Answered in time, and later


def test_an_answer_within_the_hold_continues_the_very_run(asking: Asking) -> None:
    question = asking.ask()
    assert asking.state == ("needs_input", None)

    assert asking.answer(question) == 200

    assert asking.state == ("in_progress", "working")
    shown = asking.run.get(f"{asking.path}/questions/{question}?wait=5").json["question"]
    assert (shown["response"], shown["respondedBy"]) == ("blue", "maxim")
    asking.finish("completed", commitSha=SHA)
    assert asking.state == ("in_progress", "verifying")


def test_an_answer_after_the_run_resumes_its_session_on_another_agent(asking: Asking) -> None:
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


def test_of_two_open_questions_the_last_answer_continues_the_task(asking: Asking) -> None:
    first, second = asking.ask("One?"), asking.ask("Two?")
    asking.finish("waiting")

    assert asking.answer(second, "2") == 200
    assert asking.state == ("needs_input", None)
    assert asking.answer(first, "1") == 200

    assert asking.state == ("in_progress", "queued")
    prompt = asking.resume()["prompt"]
    assert "The answer: 1" in prompt
    assert "The answer: 2" in prompt


def test_of_two_answers_one_counts(asking: Asking) -> None:
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


def test_a_question_is_withdrawn_when_its_agent_finishes_without_the_answer(asking: Asking) -> None:
    question = asking.ask()
    asking.finish("completed", commitSha=SHA)

    assert asking.state == ("in_progress", "verifying")
    assert asking.question(question)["status"] == "withdrawn"
    assert asking.answer(question) == 409


# Those that do not block


def test_a_question_that_does_not_block_holds_nothing_up(asking: Asking) -> None:
    question = asking.ask(blocking=False)

    assert asking.state == ("in_progress", "working")
    assert asking.question(question)["blocking"] is False
    assert asking.answer(question) == 200
    assert asking.state == ("in_progress", "working")
    shown = asking.world.client.get(f"/api/tasks/{asking.task_id}").json["task"]["comments"]
    assert [(comment["kind"], comment["author"], comment["body"]) for comment in shown] == [
        ("message", "maxim", "You asked: Which colour?\nThe answer: blue")
    ]
