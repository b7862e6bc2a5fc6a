"""The fleet: agents are made for the work there is, one pod for one run, and removed when nothing needs them."""

from __future__ import annotations

import functools

import pytest

from common.errors import Unauthenticated
from common.jobs.catalogue import RUN_AGENT, SWEEP_AGENTS
from common.models import Job, Run, Task
from common.secrets.sealing import unseal
from common.services.agent_api import agent_api
from common.services.agents import agents
from common.services.agents.assigning import NewReview, PlannedAssignment, assign, assign_review
from common.services.tasks import tasks
from common.transaction import Transaction, transactional
from common.values.states import Role
from tests.builders import a_user, caller_of
from tests.web.world import at_once
from tests.workers.jobs.agent_fleet import NAMESPACE, Fleet, change, cluster, on, plain, wake_worker
from workers import registry

__all__ = ["cluster", "on", "plain"]


def test_a_task_gets_a_pod_of_its_own_which_is_removed_after_its_run(on: Fleet) -> None:
    task = on.task()
    (agent,) = on.started(task)
    assert (agent.pod_name, agent.capabilities, on.pods()) == (agent.id, ["python"], [agent.id])
    assert on.agent(agent.id).state == "busy"

    run_id = on.claim(agent)
    on.finish(run_id)
    assert on.agent(agent.id).state == "draining"
    assert [one.do for one in agent_api.record_heartbeat(agent.id, [])[1]] == ["drain"]
    change(Run, run_id, finished_at=60)
    on.until(lambda: on.pods() == [])
    on.until(lambda: on.agent(agent.id).state == "offline")
    assert on.cluster.names("secrets", NAMESPACE) == []
    assert on.platform.all(Job, Job.kind == RUN_AGENT.name, Job.state_ != "done") == []


@pytest.mark.slow
def test_the_token_in_the_pod_is_the_agents_and_dies_with_it(plain: Fleet) -> None:
    (agent,) = plain.started(plain.task())
    token = unseal(agent.token_sealed or "")["token"]
    assert agent_api.authenticate_agent(token).agent_id == agent.id

    plain.finish(plain.claim(agent))
    plain.cluster.script(agent.id, "ends")
    plain.until(lambda: plain.agent(agent.id).token_sealed is None)
    with pytest.raises(Unauthenticated):
        agent_api.authenticate_agent(token)


@pytest.mark.slow
def test_there_are_never_more_than_the_most_and_each_takes_one_run(on: Fleet) -> None:
    wanted = [on.task(f"Work {number}") for number in range(5)]
    on.until(lambda: len(on.pods()) == 3)
    on.until(lambda: len(on.platform.all(Run, Run.state_ == "ready")) == 3)
    assert len(on.agents()) == 3
    assert len({run.agent_id for task in wanted for run in on.runs(task)}) == 3

    first = on.platform.all(Run, Run.state_ == "ready")[0]
    (agent,) = [agent for agent in on.agents() if agent.id == first.agent_id]
    agent_api.record_heartbeat(agent.id, [])
    on.finish(on.claim(agent))
    change(Run, first.id, finished_at=60)
    on.until(lambda: len(on.platform.all(Run, Run.state_ == "ready")) == 3)
    assert len(on.agents()) == 3
    assert agent.id not in {one.id for one in on.agents()}


def test_choices_that_were_made_at_the_same_time_make_no_more_than_the_most(on: Fleet) -> None:
    """As if the scheduler and two proofs that want a review had each found room for one."""
    on.set(AIWORKER_AGENTS_MAX="1")
    first, second, third = (on.task(f"Work {number}") for number in range(3))

    made = at_once(
        functools.partial(_review, first.id), functools.partial(_review, second.id), functools.partial(_work, third)
    )

    assert sorted(made) == [False, False, True]
    assert len(on.agents()) == 1


@transactional
def _review(tx: Transaction, task_id: str) -> bool:
    return assign_review(tx, tx.lock(Task, task_id), NewReview("a" * 40, "scripted", None, ""))


@transactional
def _work(tx: Transaction, task: Task) -> bool:
    own = None, None, list[str]()
    return (
        assign(tx, [PlannedAssignment(task.id, task.project_id, "", "scripted", None, own, has_caps=False)]).runs == 1
    )


@pytest.mark.slow
def test_a_cancelled_task_takes_its_pod_along(plain: Fleet) -> None:
    task = plain.task()
    (agent,) = plain.started(task)
    tasks.cancel_task(task.id, by=plain.platform.max)
    change(Run, plain.runs(task)[0].id, finished_at=60)
    plain.until(lambda: plain.pods() == [] and plain.agent(agent.id).state == "offline")


@pytest.mark.slow
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
    wake_worker(SWEEP_AGENTS.name)
    plain.until(lambda: plain.pods() == [second.id])


@pytest.mark.slow
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
    change(Run, run_id, finished_at=60)
    plain.until(lambda: plain.pods() == [] and plain.agent(agent.id).token_sealed is None)
    wake_worker(SWEEP_AGENTS.name)
    plain.until(lambda: not plain.platform.due())
    assert len(plain.runs(task)) == 1
    assert plain.cluster.names("secrets", NAMESPACE) == []
