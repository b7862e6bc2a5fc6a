"""The tests of a task's proof over HTTP, and the lost ones that a maintainer lets go."""

from __future__ import annotations

from common.models import Task
from tests.web.api.refused_tasks import refused_task
from tests.web.world import World, events, get

LOST = "skipped: page::test_title\ndoes not run: page::test_length"


def refused(world: World) -> Task:
    """A task whose newest run was refused for two lost tests."""
    about = {"name": "lost_tests", "code": "tests_lost", "message": "2 tests", "facts": {"lost": 2}}
    return refused_task(world, log=LOST, **about)


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
