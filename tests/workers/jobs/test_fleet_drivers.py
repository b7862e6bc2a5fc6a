"""Pods whose agents can't work with any driver, and which drivers the fleet's agents have."""

from __future__ import annotations

import pytest

from common.services.agent_api import agent_api
from common.services.agents.driver_reports import AgentNews, Finding
from tests.workers.jobs.agent_fleet import Fleet, cluster, on, plain

pytestmark = pytest.mark.slow

__all__ = ["cluster", "on", "plain"]

NEWS = AgentNews(drivers=(), findings=[Finding("claude", False, "The image has no Node.")])


def test_a_pod_that_can_not_work_gives_its_run_back_and_is_removed(on: Fleet) -> None:
    task = on.task()
    for attempt in (1, 2, 3):
        on.until(lambda tries=attempt: len(on.runs(task)) == tries and on.runs(task, "ready"))  # type: ignore[misc]
        agent_id = on.runs(task)[-1].agent_id
        agent_api.record_heartbeat(agent_id, [], NEWS)
        assert agent_api.claim_run(agent_id) is None

    failed = on.platform.get(type(task), task.id)
    assert (failed.state, failed.attempts) == ("failed", 3)
    assert "The image has no Node." in failed.error
