"""Comments that are settled: who may say so, and that an agent is not given what is settled before its next run."""

from __future__ import annotations

from typing import Any

import pytest

from common.models import Comment, Run, Task
from common.services.tasks.feedback import all_feedback_of, feedback_of
from common.states import Role
from common.transaction import Transaction, transactional
from tests.web.world import World, all_of, events, put


@pytest.fixture
def task(world: World) -> Task:
    return world.task(world.project(), state="ready_to_test")


def comment(world: World, task: Task, body: str, **place: Any) -> str:
    made = world.client.post(f"/api/tasks/{task.id}/comments", json={"body": body, **place})
    return str(made.json["comment"]["id"])


def resolve(world: World, task: Task, comment_id: str, resolved: object = True, client: Any = None) -> Any:
    path = f"/api/tasks/{task.id}/comments/{comment_id}"
    return (client or world.client).patch(path, json={"resolved": resolved})


@transactional
def given(tx: Transaction, task_id: str) -> tuple[list[Any], list[Any]]:
    """What a run that is claimed now is given, and what one that knows nothing has to act on."""
    task = tx.lock(Task, task_id)
    run = Run(
        id=f"run-{task.round}-{task_id}"[:40], task_id=task_id, project_id=task.project_id, agent_id="a", round=1,
        usage={}, token_digest=task_id, created_at=tx.now(), seen_at=tx.now(), state_="running", started_at=tx.now(),
    )  # fmt: skip
    everything = all_feedback_of(tx, task, run).current
    return feedback_of(tx, task, run), list(everything)


@pytest.mark.slow
def test_any_member_resolves_a_comment_and_opens_it_again(world: World, task: Task) -> None:
    one = comment(world, task, "Too loud", path="app.py", line=3)
    put(Comment, one, author="codex (review)")
    member, viewer = world.client_of("mia", Role.MEMBER), world.client_of("vic", Role.VIEWER)
    agent, _agent_id = world.agent()
    assert resolve(world, task, one, client=viewer).status_code == 403
    assert resolve(world, task, one, client=agent).status_code in {401, 403}

    for _again in range(2):
        done = resolve(world, task, one, client=member)
        assert (done.status_code, done.json["comment"]["resolvedBy"]) == (200, "mia")
    read = world.client.get(f"/api/tasks/{task.id}").json["task"]["comments"][0]
    assert (read["resolvedBy"], read["resolvedAt"] is None) == ("mia", False)
    assert len([event for event in events("task:updated") if '"comments"' in event.data]) == 2

    opened = resolve(world, task, one, False)
    assert (opened.json["comment"]["resolvedBy"], opened.json["comment"]["resolvedAt"]) == (None, None)


def test_the_agent_is_not_given_what_was_settled_before(world: World, task: Task) -> None:
    settled = comment(world, task, "Settled", path="app.py", line=1)
    comment(world, task, "Open", path="app.py", line=2)
    assert resolve(world, task, settled).status_code == 200

    news, everything = given(task.id)

    assert [item.body for item in news] == [item.body for item in everything] == ["Open"]
    rows = {row.body: row.delivered_run_id for row in all_of(Comment, Comment.task_id == task.id)}
    assert (rows["Settled"], rows["Open"] is None) == (None, False)
