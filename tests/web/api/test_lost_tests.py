"""The tests of a task's proof over HTTP, and the lost ones that a maintainer lets go."""

from __future__ import annotations

from common.models import Run, Task, TaskCheck
from common.names import new_id
from common.transaction import Transaction, transactional
from tests.web.world import SHA, World, events, get, put

LOST = "skipped: page::test_title\ndoes not run: page::test_length"


@transactional
def _refuse(tx: Transaction, task_id: str, project_id: str, lost: str) -> None:
    run = Run(
        id=f"run-{task_id}"[:40], task_id=task_id, project_id=project_id, agent_id="agent-1", round=1, usage={},
        state_="ended", outcome="completed", claimed_sha=SHA, token_digest=task_id,
        created_at=tx.now(), seen_at=tx.now(),
    )  # fmt: skip
    check = TaskCheck(
        id=new_id(), task_id=task_id, run_id=run.id, commit_sha=SHA, name="lost_tests", status="failed",
        code="tests_lost", message="2 tests", log=lost, facts={"lost": 2}, at=tx.now(),
    )  # fmt: skip
    tx.add(run)
    tx.add(check)


def refused(world: World, lost: str = LOST) -> Task:
    """A task whose newest run was refused for lost tests, two unless others are given."""
    task = world.task(world.project(), state="in_progress")
    put(Task, task.id, phase_="queued", round=2, refusals=1)
    _refuse(task.id, task.project_id, lost)
    return task


def test_letting_all_lost_tests_go_proves_the_commit_again(world: World) -> None:
    task = refused(world)
    path = f"/api/tasks/{task.id}/accept-lost-tests"
    strange = world.client.post(path, json={"names": ["page::test_price"]})
    none = world.client.post(path, json={"names": []})
    half = world.client.post(path, json={"names": ["page::test_title"]})
    assert (strange.status_code, none.status_code, half.status_code) == (400, 400, 200)
    assert get(Task, task.id).phase == "queued"

    done = world.client.post(path, json={"names": ["page::test_length"]})

    assert done.status_code == 200, done.data
    after = get(Task, task.id)
    assert (after.phase, after.round, after.refusals, after.accepted_losses) == (
        "verifying", 1, 0, ["page::test_length", "page::test_title"],
    )  # fmt: skip
    assert world.client.post(path, json={"names": ["page::test_length"]}).status_code == 200
    assert any("acceptedLosses" in event.data for event in events("task:updated"))


def test_a_task_without_lost_tests_has_none_to_let_go(world: World) -> None:
    task = world.task(world.project(), state="ready_to_test")
    said = world.client.post(f"/api/tasks/{task.id}/accept-lost-tests", json={"names": ["a"]})
    assert said.status_code == 409

    found = world.client.get(f"/api/tasks/{task.id}/tests", query_string={"result": "passed", "limit": 5})
    assert found.json == {"commitSha": None, "problem": "no tests were run", "total": 0, "tests": []}
    assert world.client.get(f"/api/tasks/{task.id}/tests?limit=0").status_code == 400
