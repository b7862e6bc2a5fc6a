"""Runs that get nowhere are stopped: a person is asked, and the answer goes to the same session."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from common.models import Run, Task
from common.models.task import Question
from common.secrets.sealing import digest
from common.services.agent_api.stuck import record_and_watch
from common.services.spend.model_tokens import find_access, new_model_token
from common.values.runs.model_provider import TokenCount
from tests.web.api.questioning_run import QuestioningRun
from tests.web.api.test_caps import BYTES, a_call
from tests.web.world import World, all_of, get, put

READ = TokenCount(100_000, 2_850_000, 50_000, 10)
"""Three million tokens, most of which come from a cache."""


def called(number: int, command: str = "npm test") -> dict[str, Any]:
    return {
        "level": "info", "kind": "tool", "message": f"$ {command}", "callId": f"c{number}",
        "details": {"name": "Bash", "input": {"command": command}},
    }  # fmt: skip


def came(number: int, *, ok: bool = False, said: str = "exit 1: no such file") -> dict[str, Any]:
    return {
        "level": "info", "kind": "result", "message": said, "callId": f"c{number}",
        "details": {"ok": ok, "durationMs": number},
    }  # fmt: skip


def tell(asking: QuestioningRun, *entries: dict[str, Any]) -> None:
    reply = asking.run.post(f"{asking.path}/logs", json={"lines": list(entries)})
    assert reply.status_code in {200, 201, 204}, reply.json


def beat(asking: QuestioningRun) -> list[dict[str, Any]]:
    run_id = asking.claimed["run"]["id"]
    directives: list[dict[str, Any]] = asking.agent.post("/api/runner/heartbeat", json={"runIds": [run_id]}).json[
        "directives"
    ]
    return directives


def question_of(asking: QuestioningRun) -> Question:
    (question,) = all_of(Question, Question.task_id == asking.task_id)
    assert asking.state == ("needs_input", None)
    return question  # type: ignore[no-any-return]


def test_a_run_that_reads_and_writes_nothing_is_stopped_and_asks(world: World) -> None:
    asking = QuestioningRun(world)
    run_id = asking.claimed["run"]["id"]
    token = new_model_token()
    put(Run, run_id, model_digest=digest(token))
    assert asking.run.put(f"{asking.path}/session", data=b"s", content_type=BYTES).status_code == 204
    record_and_watch([a_call(asking, 0, count=TokenCount(10, 2_900_000, 0, 10))])
    assert asking.state == ("in_progress", "working")
    assert beat(asking) == []

    record_and_watch([a_call(asking, 0, count=TokenCount(10, 99_990, 0, 10))])

    question = question_of(asking)
    assert question.question.startswith("The run has read 3,000,010 tokens and changed no file, so it was stopped")
    assert beat(asking) == [{"do": "cancel", "runId": run_id}]
    access = find_access(token, "anthropic")
    assert access is not None
    assert "changed no file" in str(access.used_up)
    asking.finish("cancelled", reason="The run was cancelled.")
    assert asking.state == ("needs_input", None)
    assert get(Run, run_id).reason == get(Run, run_id).stop_reason
    assert asking.answer(question.id, "Look at src/add.py") == 200
    assert (asking.state, get(Task, asking.task_id).attempts) == (("in_progress", "queued"), 0)
    claim = asking.resume()
    assert claim["hasSession"]
    assert "Look at src/add.py" in claim["prompt"]


@pytest.mark.parametrize(
    "entry",
    [
        {"level": "info", "kind": "tool", "message": "Edit a.py", "callId": "e", "details": {"diff": "@@ -1 +1 @@"}},
    ],
)
def test_a_run_that_has_written_may_read_more(plain_app: Flask, entry: dict[str, Any]) -> None:
    asking = QuestioningRun(World(plain_app))
    tell(asking, entry)

    record_and_watch([a_call(asking, 0, count=READ), a_call(asking, 0, count=READ)])

    assert asking.state == ("in_progress", "working")


@pytest.mark.slow
def test_the_same_failure_ten_times_in_a_row_stops_the_run(world: World) -> None:
    asking = QuestioningRun(world)
    for number in range(9):
        tell(asking, called(number), came(number))
    assert asking.state == ("in_progress", "working")

    tell(asking, called(9), came(9))

    question = question_of(asking)
    assert "last 10 calls were the same one and failed each time: $ npm test, so it was stopped" in question.question
    assert "exit 1: no such file" in str(question.context)
    assert [one["do"] for one in beat(asking)] == ["cancel"]
    asking.finish("failed", reason="API Error: 400")
    assert asking.state == ("needs_input", None)
    assert asking.answer(question.id, "Install it first") == 200
    assert "Install it first" in asking.resume()["prompt"]
