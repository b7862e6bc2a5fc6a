"""Agents that are heard of at the moment when a sweep gives them up.

Not on SQLite, where one transaction at a time writes.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from common.jobs import PREPARE_RUN, SCHEDULE_TASKS
from common.models import Agent, Run
from common.services.runs.agents import expire_agents
from common.services.runs.waiting import AGENT_LOST_SECONDS
from tests.sent_statements import noting
from tests.web.conftest import AppOn
from tests.web.world import World, all_of, forget_providers, get, put, run_jobs


@pytest.mark.slow
@pytest.mark.parametrize("comes_back", ["claim", "heartbeat"])
def test_an_agent_that_is_back_before_the_sweep_has_locked_its_run_keeps_it(
    app_on: AppOn, mariadb_database_url: str, comes_back: str
) -> None:
    world = World(app_on(mariadb_database_url))
    world.task(world.project(has_repository=True))
    agent, agent_id = world.agent()
    run_jobs(SCHEDULE_TASKS, PREPARE_RUN)
    if comes_back == "heartbeat":
        assert agent.post("/api/runner/claim", json={}).status_code == 200
    (run,) = all_of(Run)
    long_ago = datetime.now(UTC) - timedelta(seconds=2 * AGENT_LOST_SECONDS)
    put(Run, run.id, seen_at=long_ago)
    put(Agent, agent_id, seen_at=long_ago)
    sweeper, replies = threading.get_ident(), list[int]()

    def come_back() -> None:
        if comes_back == "claim":
            replies.append(agent.post("/api/runner/claim", json={}).status_code)
        replies.append(agent.post("/api/runner/heartbeat", json={"runIds": [run.id]}).status_code)

    def note(sql: str, _parameters: object, _many: bool) -> None:
        if sql.endswith("FOR UPDATE") and threading.get_ident() == sweeper and not replies:
            pool.submit(come_back).result()

    with ThreadPoolExecutor(1) as pool, noting(note):
        assert expire_agents() == 0

    assert set(replies) == {200}
    assert (get(Run, run.id).state, get(Agent, agent_id).state) == ("running", "busy")
    forget_providers()
