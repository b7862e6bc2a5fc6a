"""The fleet: agents are made for the work there is, one pod for one run, and what their pods die of ends their runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from common.errors import Unauthenticated
from common.jobs import CATALOGUE, RUN_AGENT, SCHEDULE_TASKS, SWEEP_AGENTS
from common.models import Job, LogEntry, Project, Run, Task
from common.models.agent import Agent
from common.providers.runtime import fleet
from common.sealing import unseal
from common.services.runs import agents, runners
from common.services.tasks import tasks
from common.settings import settings
from common.states import Outcome, Role
from common.transaction import Transaction, transactional
from tests.builders import a_user, caller_of
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.statuses import condition
from tests.doubles.kubernetes.store import now_text
from tests.workers.platform import Platform
from workers import registry

NAMESPACE = "aiw-agents"


@transactional
def _ring(tx: Transaction, kind: str) -> None:
    """This job of the platform's runs now, and so does whatever waits for a moment."""
    tx.enqueue(CATALOGUE[kind], "platform", project_id=None)
    waits = update(Job).where(Job.state_ == "queued", Job.next_at > tx.now())
    tx.session.execute(waits.values(next_at=tx.now()).execution_options(synchronize_session=False))


@transactional
def _change(tx: Transaction, model: Any, row_id: str, **back: float) -> None:
    """Set times of a row so many seconds back."""
    values = {name: tx.now() - timedelta(seconds=seconds) for name, seconds in back.items()}
    tx.session.execute(update(model).where(model.id == row_id).values(**values))


class Fleet:
    """A platform with one project, and a cluster for its agents."""

    def __init__(self, platform: Platform, cluster: ClusterDouble, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.platform, self.cluster, self._patch = platform, cluster, patch
        self.set(
            AIWORKER_RUNTIME="kubernetes",
            AIWORKER_KUBE_DOMAIN="apps.test",
            AIWORKER_KUBE_IMAGE="registry.test/aiworker:1",
            AIWORKER_INTERNAL_URL="http://web.aiworker.svc:3000",
            AIWORKER_AGENTS_MAX="3",
            AIWORKER_AGENTS_CAPABILITIES="python",
            KUBECONFIG=cluster.kubeconfig(folder),
        )
        self.project: Project = platform.project()

    def set(self, **environ: str) -> None:
        """Set these in the environment, and have the fleet read its settings anew."""
        for name, value in environ.items():
            self._patch.setenv(name, value)
        settings.cache_clear()
        fleet.cache_clear()

    def task(self, title: str = "Work", **values: Any) -> Task:
        return self.platform.task(self.project, title, **values)

    def until(self, holds: Callable[[], object]) -> None:
        """Run jobs, and have the scheduler look, until it holds."""

        def look() -> bool:
            if holds():
                return True
            _ring(SCHEDULE_TASKS.name)
            return False

        self.platform.run_jobs(until=look)

    def agents(self, *conditions: Any) -> list[Agent]:
        return self.platform.all(Agent, Agent.state_ != "offline", *conditions)

    def agent(self, agent_id: str) -> Agent:
        found: Agent = self.platform.get(Agent, agent_id)
        return found

    def pods(self) -> list[str]:
        return self.cluster.names("pods", NAMESPACE)

    def started(self, *wanted: Task) -> list[Agent]:
        """The agents of these tasks, whose pods run and have been heard of."""
        self.until(lambda: all(self.runs(task, "ready") for task in wanted))
        found = [self.agent(self.runs(task)[-1].agent_id) for task in wanted]
        self.until(lambda: {agent.id for agent in found} <= set(self.pods()))
        for agent in found:
            runners.beat(agent.id, [])
        return found

    def runs(self, task: Task, state: str | None = None) -> list[Run]:
        found = sorted(self.platform.runs(task), key=lambda run: run.created_at)
        return [run for run in found if state in {None, run.state.value}]

    def claim(self, agent: Agent) -> str:
        claimed = runners.claim_run(agent.id)
        assert claimed is not None
        runners.beat(agent.id, [claimed.run.id])
        return claimed.run.id

    def finish(self, run_id: str) -> None:
        runners.finish_run(run_id, outcome=Outcome.FAILED, commit_sha=None, summary="", reason="can't be done")


@pytest.fixture
def cluster() -> Iterator[ClusterDouble]:
    with ClusterDouble() as double:
        yield double


@pytest.fixture
def on(
    remote_platform: Platform, cluster: ClusterDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fleet]:
    """Once on SQLite and once on MariaDB."""
    yield Fleet(remote_platform, cluster, tmp_path, monkeypatch)
    fleet.cache_clear()


@pytest.fixture
def plain(
    plain_remote_platform: Platform, cluster: ClusterDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fleet]:
    yield Fleet(plain_remote_platform, cluster, tmp_path, monkeypatch)
    fleet.cache_clear()


def test_a_task_gets_a_pod_of_its_own_which_is_removed_after_its_run(on: Fleet) -> None:
    task = on.task()
    (agent,) = on.started(task)
    assert (agent.pod_name, agent.capabilities, on.pods()) == (agent.id, ["python"], [agent.id])
    assert on.agent(agent.id).state == "busy"

    run_id = on.claim(agent)
    on.finish(run_id)
    assert on.agent(agent.id).state == "draining"
    assert [one.do for one in runners.beat(agent.id, [])[1]] == ["drain"]
    _change(Run, run_id, finished_at=60)
    on.until(lambda: on.pods() == [])
    on.until(lambda: on.agent(agent.id).state == "offline")
    assert on.cluster.names("secrets", NAMESPACE) == []
    assert on.platform.all(Job, Job.kind == RUN_AGENT.name, Job.state_ != "done") == []


def test_the_token_in_the_pod_is_the_agents_and_dies_with_it(plain: Fleet) -> None:
    (agent,) = plain.started(plain.task())
    token = unseal(agent.token_sealed or "")["token"]
    assert runners.authenticate_agent(token).agent_id == agent.id

    plain.finish(plain.claim(agent))
    plain.cluster.script(agent.id, "ends")
    plain.until(lambda: plain.agent(agent.id).token_sealed is None)
    with pytest.raises(Unauthenticated):
        runners.authenticate_agent(token)


def test_there_are_never_more_than_the_most_and_each_takes_one_run(on: Fleet) -> None:
    wanted = [on.task(f"Work {number}") for number in range(5)]
    on.until(lambda: len(on.pods()) == 3)
    on.until(lambda: len(on.platform.all(Run, Run.state_ == "ready")) == 3)
    assert len(on.agents()) == 3
    assert len({run.agent_id for task in wanted for run in on.runs(task)}) == 3

    first = on.platform.all(Run, Run.state_ == "ready")[0]
    (agent,) = [agent for agent in on.agents() if agent.id == first.agent_id]
    runners.beat(agent.id, [])
    on.finish(on.claim(agent))
    _change(Run, first.id, finished_at=60)
    on.until(lambda: len(on.platform.all(Run, Run.state_ == "ready")) == 3)
    assert len(on.agents()) == 3
    assert agent.id not in {one.id for one in on.agents()}


def test_one_that_waits_is_taken_before_one_is_made(on: Fleet) -> None:
    on.set(AIWORKER_AGENTS_MIN="1")
    on.until(lambda: len(on.pods()) == 1)
    (waiting,) = on.agents()
    runners.beat(waiting.id, [])
    assert on.agent(waiting.id).state == "idle"

    task = on.task()
    on.until(lambda: on.runs(task, "ready"))
    assert on.runs(task)[0].agent_id == waiting.id
    on.until(lambda: len(on.pods()) == 2)  # another one waits now
    assert len(on.agents(Agent.last_task_id.is_(None))) == 1


def test_what_the_fleet_can_not_do_waits_for_who_can(plain: Fleet) -> None:
    task = plain.task(required_capabilities=["gpu"])
    other = plain.task(required_capabilities=["python"])
    plain.until(lambda: plain.runs(other, "ready"))
    assert plain.runs(task) == []
    registered = plain.platform.agent(capabilities=["gpu"])
    plain.until(lambda: plain.runs(task, "ready"))
    assert plain.runs(task)[0].agent_id == registered


def test_an_agent_that_is_there_goes_before_one_that_would_be_made(plain: Fleet) -> None:
    registered = plain.platform.agent(capabilities=["python", "more"])
    task = plain.task()
    plain.until(lambda: plain.runs(task, "ready"))
    assert (plain.runs(task)[0].agent_id, plain.pods()) == (registered, [])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("image_pull", "its pod can't run: the image registry.test/aiworker:1 can't be fetched"),
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
    _change(Agent, agent.id, seen_at=200)
    _change(Run, plain.runs(task)[0].id, seen_at=200)
    assert agents.expire_agents() == 0
    _change(Agent, agent.id, created_at=302, pod_made_at=301)
    plain.until(lambda: len(plain.runs(task)) == 2)
    said = "its agent sent no heartbeat within 300 s; last seen: no node accepts its pod: 0/3 nodes"
    assert str(plain.runs(task)[0].reason).startswith(said)


def test_a_run_that_is_lost_while_its_pod_is_not_let_in_says_why(plain: Fleet) -> None:
    plain.cluster.script("workers.runner", "quota")
    task = plain.task()
    plain.until(lambda: plain.platform.all(Job, Job.kind == RUN_AGENT.name, Job.error.contains("exceeded quota")))
    (agent,) = plain.agents()
    _change(Agent, agent.id, created_at=301)
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
    _change(Agent, agent.id, seen_at=61)
    _change(Run, run_id, seen_at=61)
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


def test_a_run_that_waited_for_its_pod_is_not_taken_for_unclaimed(plain: Fleet) -> None:
    task = plain.task()
    plain.until(lambda: plain.runs(task, "ready"))
    (run,) = plain.runs(task)
    _change(Run, run.id, seen_at=200)
    runners.beat(run.agent_id, [])
    assert agents.expire_agents() == 0
    assert runners.claim_run(run.agent_id) is not None


def test_a_cancelled_task_takes_its_pod_along(plain: Fleet) -> None:
    task = plain.task()
    (agent,) = plain.started(task)
    tasks.cancel_task(task.id, by=plain.platform.max)
    _change(Run, plain.runs(task)[0].id, finished_at=60)
    plain.until(lambda: plain.pods() == [] and plain.agent(agent.id).state == "offline")


def test_a_removed_agents_pod_is_removed_and_so_are_pods_that_nobody_knows(plain: Fleet) -> None:
    plain.set(AIWORKER_AGENTS_MIN="2")
    plain.until(lambda: len(plain.pods()) == 2)
    first, second = plain.agents()
    plain.set(AIWORKER_AGENTS_MIN="0")
    agents.delete_agent(first.id, by=caller_of(a_user("root", Role.ADMIN)))
    plain.until(lambda: plain.pods() == [second.id])

    with plain.cluster.store.lock:
        stray = {**plain.cluster.object("pods", NAMESPACE, second.id)}
        about = {**stray["metadata"], "name": "agent-00000000000f", "uid": "other"}
        about["labels"] = {**about["labels"], "aiworker.dev/agent": "agent-00000000000f"}
        plain.cluster.store.put("pods", {**stray, "metadata": about})
    _ring(SWEEP_AGENTS.name)
    plain.until(lambda: plain.pods() == [second.id])


def test_a_drained_agent_that_waits_goes(plain: Fleet) -> None:
    plain.set(AIWORKER_AGENTS_MIN="1")
    plain.until(lambda: len(plain.pods()) == 1)
    (waiting,) = plain.agents()
    plain.set(AIWORKER_AGENTS_MIN="0")
    agents.drain_agent(waiting.id, by=plain.platform.max)
    plain.until(lambda: plain.pods() == [])


def test_one_that_waited_for_half_its_life_is_replaced(plain: Fleet) -> None:
    plain.set(AIWORKER_AGENTS_MIN="1")
    plain.until(lambda: len(plain.pods()) == 1)
    (old,) = plain.agents()
    runners.beat(old.id, [])
    _change(Agent, old.id, created_at=7 * 3600)
    plain.until(lambda: plain.pods() and old.id not in plain.pods())
    assert len(plain.agents()) == 1


def test_nothing_is_made_ahead_of_work_while_pods_fail(plain: Fleet) -> None:
    plain.set(AIWORKER_AGENTS_MIN="1")
    plain.cluster.script("workers.runner", "image_pull")
    plain.until(lambda: plain.platform.all(Agent, Agent.state_ == "offline"))
    plain.until(lambda: not plain.platform.due())
    assert len(plain.platform.all(Agent)) == 1
    plain.cluster.script("workers.runner", "healthy")
    _change(Agent, plain.platform.all(Agent)[0].id, created_at=61, seen_at=61)
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
    _change(Agent, agent.id, created_at=3600, seen_at=3600)
    waits = plain.platform.all(Job, Job.kind == RUN_AGENT.name)[0].waits
    plain.until(lambda: plain.platform.all(Job, Job.kind == RUN_AGENT.name, Job.waits > waits))
    plain.cluster.access.denied = set()
    plain.until(lambda: plain.pods() == [agent.id])
    plain.until(lambda: plain.platform.all(Job, Job.kind == RUN_AGENT.name, Job.waits_for.is_(None)))
    plain.platform.run_jobs(until=lambda: plain.agent(agent.id).pod_made_at is not None)
    runners.beat(agent.id, [])

    assert len(plain.runs(task)) == 1
    assert plain.claim(agent) == plain.runs(task)[0].id


@pytest.mark.parametrize("how", ["twice", "cut off"])
def test_every_job_of_the_fleet_may_run_twice_and_be_cut_off(
    plain: Fleet, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "twice":
        for kind, run in list(registry.registered.items()):
            monkeypatch.setitem(registry.registered, kind, lambda job_id, run=run: (run(job_id), run(job_id)))
    else:
        plain.cluster.faults.add_for_each("POST|PATCH|DELETE", "apply_then_reset")
    task = plain.task()
    (agent,) = plain.started(task)
    assert plain.pods() == [agent.id]
    run_id = plain.claim(agent)
    plain.finish(run_id)
    _change(Run, run_id, finished_at=60)
    plain.until(lambda: plain.pods() == [] and plain.agent(agent.id).token_sealed is None)
    _ring(SWEEP_AGENTS.name)
    plain.until(lambda: not plain.platform.due())
    assert len(plain.runs(task)) == 1
    assert plain.cluster.names("secrets", NAMESPACE) == []
