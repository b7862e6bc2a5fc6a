"""Jobs of the fleet: create, watch and remove the pods of agents, and remove orphaned pods."""

from __future__ import annotations

from common.errors import ProviderRefused
from common.jobs import catalogue
from common.providers.runtime import Fleet, fleet
from common.services.agents import pods as agents
from common.services.agents.pods import PodPlan, PodStep
from common.values.runs.agent_pod import PodPhase, PodState
from workers.execution.job_run import Claimed, job


def _fleet() -> Fleet:
    """Return the fleet. Raises ProviderRefused (`no_fleet`) if the settings have none (any more)."""
    found = fleet()
    if found is None:
        raise ProviderRefused("agents in pods are switched off (AIWORKER_AGENTS_MAX)", code="no_fleet")
    return found


@job(catalogue.RUN_AGENT, parked=agents.give_agent_up)
def run_agent(job: Claimed) -> None:
    plan = agents.begin_pod(job.lease)
    if plan.step is PodStep.REMOVE:
        _fleet().delete_agent(plan.pod.name)
        agents.record_pod_removed(job.lease)
        return
    state = _look(plan)
    waits_for = state.reason if state.phase is PodPhase.STARTING else None
    if waits_for:
        job.progress(waits_for)
    problem = state.reason or "its pod failed" if state.phase is PodPhase.FAILED else None
    agents.record_pod(job.lease, problem=problem, is_ended=state.phase is PodPhase.ENDED, waits_for=waits_for)


def _look(plan: PodPlan) -> PodState:
    if plan.step is PodStep.START:
        return _fleet().ensure_agent(plan.pod)
    return _fleet().read_agent(plan.pod.name) or PodState(PodPhase.FAILED, "its pod is gone")


@job(catalogue.SWEEP_AGENTS)
def sweep_agents(job: Claimed) -> None:
    pods = _fleet()
    for name in agents.orphans(pods.list_agents()):
        pods.delete_agent(name)
