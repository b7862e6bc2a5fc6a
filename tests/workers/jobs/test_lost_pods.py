"""What the pods of agents die of, what their runs say of it, and a cluster that refuses to make any."""

from __future__ import annotations

import pytest

from common.jobs.catalogue import RUN_AGENT
from common.models import Job, LogEntry, Run, Task
from common.models.agent import Agent
from common.services.agent_api import agent_api
from common.services.agents import agents
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


def test_a_pod_that_does_not_come_to_life_is_given_up(plain: Fleet) -> None:
    plain.cluster.script("workers.runner", "no_room")
    task = plain.task()
    plain.until(lambda: len(plain.pods()) == 1)
    (agent,) = plain.agents()
    plain.until(lambda: plain.platform.all(Job, Job.progress_message.contains("Insufficient memory")))
    # However long its run waits for it, nobody calls it silent.
    change(Agent, agent.id, seen_at=200)
    change(Run, plain.runs(task)[0].id, seen_at=200)
    assert agents.expire_agents() == 0
    change(Agent, agent.id, created_at=302, pod_made_at=301)
    plain.until(lambda: len(plain.runs(task)) == 2)
    said = "its agent sent no heartbeat within 300 s; last seen: no node accepts its pod: 0/3 nodes"
    assert str(plain.runs(task)[0].reason).startswith(said)


def test_nothing_is_made_ahead_of_work_while_pods_fail(plain: Fleet) -> None:
    plain.set(AIWORKER_AGENTS_MIN="1")
    plain.cluster.script("workers.runner", "invalid_image")
    plain.until(lambda: plain.platform.all(Agent, Agent.state_ == "offline"))
    plain.until(lambda: not plain.platform.due())
    assert len(plain.platform.all(Agent)) == 1
    plain.cluster.script("workers.runner", "healthy")
    change(Agent, plain.platform.all(Agent)[0].id, created_at=61, seen_at=61)
    plain.until(lambda: len(plain.pods()) == 1 and len(plain.agents()) == 1)


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
    agent_api.beat(agent.id, [])

    assert len(plain.runs(task)) == 1
    assert plain.claim(agent) == plain.runs(task)[0].id
