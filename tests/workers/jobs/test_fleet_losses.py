"""What the pods of agents die of, what their runs say of it, and a cluster that refuses to make any."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.jobs import PREPARE_RUN, RUN_AGENT, SCHEDULE_TASKS, Lease
from common.models import Job, LogEntry, Run, Task
from common.models.agent import Agent
from common.providers.runtime import fleet
from common.services.runs import agents, run_end, runners
from common.services.runs.fleet import PodStep, begin_pod
from common.services.tasks.run_preparation import record_prepared
from common.transaction import Transaction, transactional
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.statuses import condition
from tests.doubles.kubernetes.store import now_text
from tests.sent_statements import noting
from tests.workers.jobs.agent_fleet import NAMESPACE, Fleet, change, cluster, plain, ring
from tests.workers.platform import Platform

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


@transactional
def _tried_twice(tx: Transaction, task_id: str) -> None:
    task = tx.lock(Task, task_id)
    task.attempts, task.error = 2, "the quota was exceeded"


@transactional
def _begun_job(tx: Transaction, job_id: str) -> Lease:
    lease = tx.queue.claim(job_id)
    assert lease is not None
    return lease


@transactional
def _pod_fails(tx: Transaction, run_id: str) -> None:
    run_end.lose_runs(tx, [run_id], "its pod could not be run: no such image", is_fault=True)


def test_a_task_that_is_given_up_while_the_forge_prepares_its_run_keeps_the_reason(platform: Platform) -> None:
    task = platform.task(platform.project())
    platform.agent()
    platform.run_jobs(until=lambda: bool(platform.runs(task)))
    (run,) = platform.runs(task)
    (job,) = platform.all(Job, Job.kind == PREPARE_RUN.name)
    _tried_twice(task.id)
    preparing = _begun_job(job.id)
    _pod_fails(run.id)
    given_up = platform.get(Task, task.id)
    assert (given_up.state, "no such image" in str(given_up.error)) == ("failed", True)

    record_prepared(preparing, username="u", password="p", base_sha="0" * 40)

    assert platform.get(Task, task.id).error == given_up.error


def test_a_pod_that_is_evicted_at_work_costs_one_run_and_the_task_goes_on(plain: Fleet) -> None:
    task = plain.task()
    (agent,) = plain.started(task)
    plain.claim(agent)
    plain.cluster.script(agent.id, "evicted")
    plain.until(lambda: len(plain.runs(task, "ready")) == 1)

    lost, fresh = plain.runs(task)
    assert (lost.outcome, fresh.agent_id != agent.id) == ("lost", True)
    assert "Evicted" in str(lost.reason)


def test_a_pod_that_was_told_to_end_when_it_claimed_a_run_costs_its_task_no_attempt(plain: Fleet) -> None:
    task = plain.task()
    (agent,) = plain.started(task)
    agents.drain_agent(agent.id, by=plain.platform.max)
    # Its runner was stopping when the answer came, and took nothing.
    assert runners.claim_run(agent.id) is not None
    plain.cluster.script(agent.id, "ends")
    plain.until(lambda: len(plain.runs(task, "ready")) == 1)

    lost, fresh = plain.runs(task)
    assert (lost.outcome, lost.reason) == ("lost", "its agent ended before it took the run")
    assert fresh.agent_id != agent.id
    again = plain.platform.get(Task, task.id)
    assert (again.attempts, again.losses) == (0, 1)


def test_a_pod_that_a_person_removes_is_noticed(plain: Fleet) -> None:
    task = plain.task()
    (agent,) = plain.started(task)
    plain.claim(agent)
    plain.cluster.store.remove("pods", NAMESPACE, agent.id)
    plain.until(lambda: len(plain.runs(task, "ready")) == 1)
    assert plain.runs(task)[0].reason == "its pod is gone"


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


def test_a_pod_whose_heartbeat_nobody_could_hear_is_not_given_up(plain: Fleet) -> None:
    plain.cluster.script("workers.runner", "no_room")
    task = plain.task()
    plain.until(lambda: len(plain.pods()) == 1)
    (agent,) = plain.agents()
    plain.platform.silence_web(300)
    change(Agent, agent.id, created_at=302, seen_at=302, pod_made_at=301)
    assert agents.expire_agents() == 0
    (job,) = plain.platform.all(Job, Job.kind == RUN_AGENT.name)
    plain.until(lambda: plain.platform.get(Job, job.id).fence > job.fence)

    assert len(plain.runs(task)) == 1
    assert plain.platform.get(Agent, agent.id).state == "starting"


def test_a_run_waits_for_an_image_that_its_pod_can_not_fetch_yet(plain: Fleet) -> None:
    plain.cluster.script("workers.runner", "image_pull", message="connection refused")
    task = plain.task()
    said = "can't be fetched (ImagePullBackOff): connection refused"
    plain.until(lambda: plain.platform.all(Job, Job.progress_message.contains(said)))
    plain.cluster.script("workers.runner", "healthy")
    plain.until(lambda: not plain.platform.all(Job, Job.kind == RUN_AGENT.name, Job.error.is_not(None)))

    assert [run.outcome for run in plain.runs(task)] == [None]


def test_an_agent_that_is_heard_of_just_before_it_is_given_up_goes_on(
    platform_on: Callable[..., Platform], mariadb_database_url: str, cluster: ClusterDouble, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Not on SQLite, where one transaction at a time writes."""
    on = Fleet(platform_on(mariadb_database_url, is_local=False), cluster, tmp_path, monkeypatch)
    task = on.task()
    on.until(lambda: on.runs(task, "ready") and on.pods())
    (agent,) = on.agents()
    (job,) = on.platform.all(Job, Job.kind == RUN_AGENT.name)
    ring(SCHEDULE_TASKS.name)
    lease = _begun_job(job.id)
    change(Agent, agent.id, created_at=302, pod_made_at=301)
    looking, beats = threading.get_ident(), list[object]()

    def note(sql: str, _parameters: object, _many: bool) -> None:
        if sql.endswith("FOR UPDATE") and threading.get_ident() == looking and not beats:
            beats.append(pool.submit(runners.beat, agent.id, []).result())

    with ThreadPoolExecutor(1) as pool, noting(note):
        plan = begin_pod(lease)

    assert (plan.step, on.agent(agent.id).state) == (PodStep.WATCH, "busy")
    assert [run.state for run in on.runs(task)] == ["ready"]
    fleet.cache_clear()


def test_a_run_that_is_lost_while_its_pod_is_not_let_in_says_why(plain: Fleet) -> None:
    plain.cluster.script("workers.runner", "quota")
    task = plain.task()
    plain.until(lambda: plain.platform.all(Job, Job.kind == RUN_AGENT.name, Job.error.contains("exceeded quota")))
    (agent,) = plain.agents()
    change(Agent, agent.id, created_at=301)
    plain.until(lambda: len(plain.runs(task)) == 2)
    reason = str(plain.runs(task)[0].reason)
    assert reason.startswith("its agent sent no heartbeat within 300 s; last seen: ")
    assert "exceeded quota: aiworker, requested: pods=1" in reason


def test_a_silent_agents_run_says_what_was_last_seen_of_its_pod(plain: Fleet) -> None:
    task = plain.task()
    (agent,) = plain.started(task)
    run_id = plain.claim(agent)
    plain.cluster.faults.add("GET .*/pods/", "500", nth=0)
    plain.until(lambda: plain.platform.all(Job, Job.kind == RUN_AGENT.name, Job.error.contains("500")))
    change(Agent, agent.id, seen_at=61)
    change(Run, run_id, seen_at=61)
    assert agents.expire_agents() == 1

    reason = str(plain.runs(task)[0].reason)
    assert reason.startswith("its agent sent no heartbeat for a minute; last seen: the Kubernetes API answered GET")


def test_a_pod_that_is_being_evicted_says_so_while_it_can_be_seen(plain: Fleet) -> None:
    task = plain.task()
    (agent,) = plain.started(task)
    plain.claim(agent)
    with plain.cluster.store.lock:
        pod = plain.cluster.store.objects["pods", NAMESPACE, agent.id]
        evicted = condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting")
        plain.cluster.store.update("pods", pod, lambda one: one["status"]["conditions"].append(evicted))
        plain.cluster.controllers.frozen.add(pod["metadata"]["uid"])
        pod = plain.cluster.store.objects["pods", NAMESPACE, agent.id]
        plain.cluster.store.update("pods", pod, lambda one: one["metadata"].update(deletionTimestamp=now_text()))
    plain.until(lambda: len(plain.runs(task, "ready")) == 1)
    assert plain.runs(task)[0].reason == "the cluster removed its pod: EvictionByEvictionAPI: Eviction API: evicting"


def test_nothing_is_made_ahead_of_work_while_pods_fail(plain: Fleet) -> None:
    plain.set(AIWORKER_AGENTS_MIN="1")
    plain.cluster.script("workers.runner", "invalid_image")
    plain.until(lambda: plain.platform.all(Agent, Agent.state_ == "offline"))
    plain.until(lambda: not plain.platform.due())
    assert len(plain.platform.all(Agent)) == 1
    plain.cluster.script("workers.runner", "healthy")
    change(Agent, plain.platform.all(Agent)[0].id, created_at=61, seen_at=61)
    plain.until(lambda: len(plain.pods()) == 1 and len(plain.agents()) == 1)


def test_a_cluster_that_refuses_ends_the_run_with_what_it_said(plain: Fleet) -> None:
    plain.cluster.faults.add("POST .*/pods", "422", nth=0)
    task = plain.task()
    plain.until(lambda: plain.platform.get(Task, task.id).state == "failed")
    assert "scripted fault 422" in str(plain.runs(task)[0].reason)
    assert plain.agents() == []


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
    runners.beat(agent.id, [])

    assert len(plain.runs(task)) == 1
    assert plain.claim(agent) == plain.runs(task)[0].id
