"""What the machine loses is not held against the task; what always kills its agent has an end all the same."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from common.models import Agent, Mark, Run, Task
from common.services import sweeping
from common.services.agent_api import agent_api
from common.transaction import Transaction, transactional
from common.values.runs.claimed_run import ClaimedRun
from common.values.states import Outcome
from tests.workers.platform import Platform


@transactional
def _age_mark(tx: Transaction, seconds: float, since_seconds: float | None = None) -> None:
    """Make it look as if the sweep had last looked at the agents that long ago, and had just come back."""
    mark = tx.session.execute(select(Mark).where(Mark.name == "listening")).scalar_one()
    mark.at = tx.now() - timedelta(seconds=seconds)
    if since_seconds is not None:
        mark.value = {"since": (tx.now() - timedelta(seconds=since_seconds)).isoformat()}


def _restart_agent(platform: Platform, claimed: ClaimedRun) -> None:
    """Its process was killed, and the next one knows nothing of the run."""
    platform.silence(Run, claimed.run.id, 21)
    agent_api.record_heartbeat(platform.agent_id, [])


@pytest.mark.slow
def test_an_agent_that_is_killed_at_work_costs_its_task_nothing(platform: Platform) -> None:
    task = platform.task(platform.project())
    for losses in range(1, 3):
        claimed = platform.claim()
        _restart_agent(platform, claimed)
        lost = platform.get(Task, task.id)
        assert (lost.state, lost.attempts, lost.losses) == ("backlog", 0, losses)

    claimed = platform.claim()
    platform.finish(claimed, platform.push(claimed, {"index.html": "<h1>x</h1>\n"}))
    platform.run_jobs()
    done = platform.get(Task, task.id)
    assert (done.state, done.losses) == ("ready_to_test", 0)


def test_a_task_that_kills_its_agent_every_time_is_given_up(platform: Platform) -> None:
    task = platform.task(platform.project())
    for _ in range(10):
        _restart_agent(platform, platform.claim())

    failed = platform.get(Task, task.id)
    assert failed.state == "failed"
    assert failed.error == "given up after 10 lost runs; the last one: its agent was restarted"


@pytest.mark.slow
def test_after_a_restart_of_the_platform_agents_get_the_time_to_be_heard_of(platform: Platform) -> None:
    task = platform.task(platform.project())
    claimed = platform.claim()
    platform.expire()
    platform.silence(Run, claimed.run.id, 300)
    platform.silence(Agent, platform.agent_id, 300)
    _age_mark(300)

    assert platform.expire() == 0
    assert platform.get(Agent, platform.agent_id).state == "busy"
    agent_api.record_heartbeat(platform.agent_id, [claimed.run.id])
    _age_mark(0, since_seconds=61)
    assert platform.expire() == 0

    platform.silence(Run, claimed.run.id, 61)
    assert platform.expire() == 1
    assert (platform.get(Task, task.id).attempts, platform.get(Task, task.id).losses) == (1, 0)


def test_a_dead_agent_loses_its_run_though_web_gives_no_sign_if_others_are_heard(platform: Platform) -> None:
    task = platform.task(platform.project())
    claimed = platform.claim()
    platform.silence_web(300)
    platform.silence(Run, claimed.run.id, 61)
    platform.silence(Agent, platform.agent_id, 61)
    agent_api.record_heartbeat(platform.agent(), [])

    assert platform.expire() == 1
    assert platform.get(Task, task.id).attempts == 1


@pytest.mark.slow
def test_a_run_that_its_machine_cut_short_goes_to_another_agent(platform: Platform) -> None:
    task = platform.task(platform.project())
    claimed = platform.claim()
    reason = "git push found no room on the disk"
    for _ in range(2):
        agent_api.finish_run(
            claimed.run.id, outcome=Outcome.CANCELLED, commit_sha=None, summary="", reason=reason, cut_short=True
        )
    back = platform.get(Task, task.id)
    assert (back.state, back.attempts, back.losses, back.error) == ("backlog", 0, 1, reason)

    agent_api.record_heartbeat(platform.agent_id, [])
    sweeping.enqueue_periodic_jobs()
    platform.run_jobs()
    assert len(platform.runs(task)) == 1
    former, platform.agent_id = platform.agent_id, platform.agent()
    again = platform.claim()
    assert platform.get(Run, again.run.id).agent_id != former
    assert platform.get(Task, task.id).error is None
