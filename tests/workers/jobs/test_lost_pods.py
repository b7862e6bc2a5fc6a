"""What the pods of agents die of, what their runs say of it, and a cluster that refuses to make any."""

from __future__ import annotations

import pytest

from common.jobs.catalogue import RUN_AGENT
from common.models import Job, LogEntry, Task
from common.models.agent import Agent
from common.services.agent_api import agent_api
from tests.workers.jobs.agent_fleet import Fleet, change, cluster, plain

pytestmark = pytest.mark.slow

__all__ = ["cluster", "plain"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("invalid_image", "its pod can't run: the image registry.test/aiworker:1 can't be fetched"),
        ("evicted", "the cluster removed its pod: Evicted"),
        ("oom", "its pod was killed: it used more memory than its limit"),
    ],
)
def test_a_pod_that_fails_ends_its_run_with_its_reason_and_the_task_is_given_up_in_the_end(
    plain: Fleet, kind: str, words: str
) -> None:
    plain.cluster.script("workers.runner", kind)
    task = plain.task()
    plain.until(lambda: plain.platform.get(Task, task.id).state == "failed")

    ended = plain.runs(task)
    assert [run.outcome for run in ended] == ["lost"] * 3
    assert len({run.agent_id for run in ended}) == 3
    assert all(words in str(run.reason) for run in ended)
    assert words in str(plain.platform.get(Task, task.id).error)
    assert all(words in entry.message for entry in plain.platform.all(LogEntry, LogEntry.run_id == ended[0].id))
    plain.until(lambda: plain.pods() == [] and plain.agents() == [])


def test_a_pod_that_is_evicted_at_work_costs_one_run_and_the_task_goes_on(plain: Fleet) -> None:
    task = plain.task()
    (agent,) = plain.started(task)
    plain.claim(agent)
    plain.cluster.script(agent.id, "evicted")
    plain.until(lambda: len(plain.runs(task, "ready")) == 1)

    lost, fresh = plain.runs(task)
    assert (lost.outcome, fresh.agent_id != agent.id) == ("lost", True)
    assert "Evicted" in str(lost.reason)


def test_a_cluster_that_denies_access_costs_no_run_however_long_it_does(plain: Fleet) -> None:
    plain.cluster.access.denied = {("create", "pods")}
    task = plain.task()
    plain.until(lambda: plain.platform.all(Job, Job.kind == RUN_AGENT.name, Job.waits_for == "access"))
    (agent,) = plain.agents()
    change(Agent, agent.id, created_at=3600, seen_at=3600)
    waits = plain.platform.all(Job, Job.kind == RUN_AGENT.name)[0].waits
    plain.until(lambda: plain.platform.all(Job, Job.kind == RUN_AGENT.name, Job.waits > waits))
    plain.cluster.access.denied = set()
    plain.until(lambda: plain.pods() == [agent.id])
    plain.until(lambda: plain.platform.all(Job, Job.kind == RUN_AGENT.name, Job.waits_for.is_(None)))
    plain.platform.run_jobs(until=lambda: plain.agent(agent.id).pod_made_at is not None)
    agent_api.record_heartbeat(agent.id, [])

    assert len(plain.runs(task)) == 1
    assert plain.claim(agent) == plain.runs(task)[0].id
