"""What is told of a task that somebody has taken over."""

from __future__ import annotations

import json

import pytest

from common.jobs import PREPARE_RUN, RELEASE_RUN, SCHEDULE_TASKS
from common.models import Job, Run, Task
from common.services.runs.agents import expire_agents
from tests.web.api.test_steering import Shop
from tests.web.world import World, all_of, events, get, put, run_jobs
from tests.workers.nights import switch_off, switch_on


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


@pytest.mark.parametrize("is_finished", [True, False])
def test_who_holds_a_task_hears_that_its_agent_has_stopped(shop: Shop, is_finished: bool) -> None:
    shop.post("take-over")
    before = len(events("task:updated", of=shop.task.id))
    if is_finished:
        shop.finish()
    else:
        (job,) = all_of(Job, Job.kind == RELEASE_RUN.name)
        put(Job, job.id, next_at=job.created_at)
        run_jobs(RELEASE_RUN)
    heard = events("task:updated", of=shop.task.id)[before:]
    assert [json.loads(one.data)["data"]["changed"] for one in heard] == [["runs"]]


def test_what_is_taken_over_before_an_agent_came_is_told_once(shop: Shop) -> None:
    shop.finish()
    put(Task, shop.task.id, state_="in_progress", phase_="queued")
    run_jobs(SCHEDULE_TASKS, PREPARE_RUN)
    before = len(events("task:updated", of=shop.task.id))
    shop.post("take-over")
    assert len(events("task:updated", of=shop.task.id)) == before + 1


def test_nobody_is_told_to_answer_what_the_agent_of_a_held_task_asks(shop: Shop) -> None:
    """It has not heard yet that the task was taken over. Its question is withdrawn with the end of its run."""
    path = f"/api/runner/runs/{shop.run_id}/questions"
    shop.post("take-over")
    for _again in range(2):
        assert shop.run.post(path, json={"question": "Blue?"}).status_code in (200, 201)
    assert events("task:needs_input", of=shop.task.id) == []
    shop.finish("waiting")
    assert [one["status"] for one in shop.read()["questions"]] == ["withdrawn"]


def test_after_the_platform_was_off_an_agent_has_time_to_push_what_it_has(shop: Shop) -> None:
    expire_agents()
    shop.post("take-over")
    (job,) = all_of(Job, Job.kind == RELEASE_RUN.name)

    switch_off(minutes=60)
    put(Job, job.id, next_at=job.created_at)
    run_jobs(RELEASE_RUN)
    assert get(Run, shop.run_id).state == "running"

    expire_agents()
    put(Job, job.id, next_at=job.created_at)
    run_jobs(RELEASE_RUN)
    assert get(Run, shop.run_id).state == "running"

    switch_on(minutes=2)
    put(Job, job.id, next_at=job.created_at)
    run_jobs(RELEASE_RUN)
    assert get(Run, shop.run_id).outcome == "cancelled"
