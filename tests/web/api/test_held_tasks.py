"""What is told of a task that somebody has taken over."""

from __future__ import annotations

import pytest

from common.jobs import RELEASE_RUN
from common.models import Job, Run
from common.services.runs.agents import expire_agents
from tests.web.api.test_steering import Shop
from tests.web.world import World, all_of, get, put, run_jobs
from tests.workers.nights import switch_off, switch_on


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


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
