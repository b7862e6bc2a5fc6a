"""The minutes of runs whose agents were away, as when a machine is switched off over night."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from common.jobs import RELEASE_RUN
from common.models import Agent, Job, Run
from common.models.spend import SpendCounter
from tests.web.api.asking import Asking
from tests.web.world import World, all_of, get, put, run_jobs

NIGHT = timedelta(hours=9)


def over_night(asking: Asking) -> str:
    """The run was at work for ten minutes, and its machine has been off since. Returns the run's id."""
    run_id = str(asking.claimed["run"]["id"])
    asking.agent.post("/api/runner/heartbeat", json={"runIds": [run_id]})
    seen_at = datetime.now(UTC) - NIGHT
    put(Run, run_id, started_at=seen_at - timedelta(minutes=10), seen_at=seen_at)
    put(Agent, asking.agent_id, seen_at=seen_at)
    return run_id


def minutes_of_task(asking: Asking) -> float:
    spent = asking.world.client.get(f"/api/tasks/{asking.task_id}").json["task"]["spent"]
    return float(spent["minutes"])


def test_a_machine_that_was_off_uses_up_no_minutes(world: World) -> None:
    asking = Asking(world)
    run_id = over_night(asking)

    asking.agent.post("/api/runner/heartbeat", json={"runIds": []})

    run = get(Run, run_id)
    assert (run.outcome, run.reason) == ("lost", "its agent was restarted")
    assert minutes_of_task(asking) == 10
    counted = {(row.scope, row.period == "all"): row.seconds for row in all_of(SpendCounter, SpendCounter.seconds > 0)}
    assert {key: round(value) for key, value in counted.items() if key[1]} == {
        ("task", True): 600, ("project", True): 600, ("platform", True): 600,
    }  # fmt: skip


def test_a_run_that_somebody_ends_while_its_machine_is_off_uses_up_no_night(world: World) -> None:
    asking = Asking(world)
    run_id = over_night(asking)

    assert world.client.post(f"/api/tasks/{asking.task_id}/take-over").status_code == 200
    for job in all_of(Job, Job.kind == RELEASE_RUN.name):
        put(Job, job.id, next_at=job.created_at)
    run_jobs(RELEASE_RUN)

    assert get(Run, run_id).outcome == "cancelled"
    assert minutes_of_task(asking) == 11
    (counted,) = all_of(SpendCounter, SpendCounter.scope == "task", SpendCounter.period == "all")
    assert round(counted.seconds) == 660
