"""Agents whose pods are the platform's: made for one run each, watched while they live, removed when it is over.

An agent of the fleet is a row first, which may be given a run at once; a job then makes its pod, and looks at it until
the agent's work is over. What a pod dies of ends the run, and the task is taken up again or given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import func, select

from common import jobs
from common.jobs import Lease
from common.masking import KNOWN_FORMATS
from common.models.agent import Agent
from common.models.journal import Job
from common.models.run import LogEntry, Run
from common.names import new_agent_id
from common.sealing import digest, new_token, seal, unseal
from common.services.projects.variables import mask_of_run
from common.services.runs import lifecycle, run_end
from common.settings import FleetSettings, settings
from common.states import LIVE_JOB, AgentState, By
from common.transaction import Transaction, transactional
from common.values.agent_pod import AgentPod

SOON_SECONDS = 3
"""How often a pod is looked at that begins or ends."""
LOOK_SECONDS = 15
"""How often one at work: its agent's heartbeats tell of it too."""
LINGER_SECONDS = 10
"""How long an agent whose run is over may take to end by itself."""
FAILED_PAUSE_SECONDS = 60
"""After a pod that failed without a run, so long none is made ahead of work."""


class PodStep(StrEnum):
    START = "start"
    WATCH = "watch"
    REMOVE = "remove"


@dataclass(frozen=True)
class PodPlan:
    """The pod's token is there for START alone."""

    step: PodStep
    pod: AgentPod


def fleet_settings() -> FleetSettings | None:
    """None: this platform makes no agents."""
    cluster = settings().runtime.kubernetes
    return None if cluster is None else cluster.fleet


def room(tx: Transaction) -> int:
    """How many agents more there may be."""
    chosen = fleet_settings()
    return 0 if chosen is None else max(0, chosen.most - _count(tx, Agent.state_ != AgentState.OFFLINE))


def template() -> Agent:
    """An agent as the fleet makes them, that is in no session: what tasks are matched with before there is one."""
    chosen = fleet_settings()
    assert chosen is not None
    return Agent(id="", capabilities=list(chosen.capabilities), driver=chosen.driver, slots=1, is_pod=True)


def add_agent(tx: Transaction) -> Agent:
    """One agent more. Its pod is made by a job; a run may be given to it at once."""
    chosen = fleet_settings()
    assert chosen is not None
    token, agent_id = new_token("awa"), new_agent_id()
    agent = tx.add(
        Agent(
            id=agent_id, state_=AgentState.STARTING, pod_name=agent_id, capabilities=list(chosen.capabilities),
            driver=chosen.driver, version="", slots=1, digest=digest(token), created_at=tx.now(), seen_at=tx.now(),
            is_pod=True, token_sealed=seal({"token": token}),
        )
    )  # fmt: skip
    tx.enqueue(jobs.RUN_AGENT, agent.id, project_id=None)
    return agent


def add_waiting_agents(tx: Transaction) -> int:
    """As many as the settings want to wait for work ahead of it. Returns how many were added.

    None while the last one failed before it was heard of: what keeps it from starting would keep the next one too.
    """
    chosen = fleet_settings()
    if chosen is None or chosen.least == 0:
        return 0
    lately = tx.now() - timedelta(seconds=FAILED_PAUSE_SECONDS)
    failed = (Agent.state_ == AgentState.OFFLINE, Agent.seen_at == Agent.created_at, Agent.created_at > lately)
    if _count(tx, *failed):
        return 0
    waiting = _count(tx, Agent.state_.in_([AgentState.STARTING, AgentState.IDLE]), Agent.last_task_id.is_(None))
    missing = min(chosen.least - waiting, room(tx))
    for _ in range(missing):
        add_agent(tx)
    return max(0, missing)


def _count(tx: Transaction, *where: object) -> int:
    query = select(func.count()).select_from(Agent).where(Agent.is_pod.is_(True), *where)  # type: ignore[arg-type]
    return tx.session.execute(query).scalar_one()


@transactional
def begin_pod(tx: Transaction, lease: Lease) -> PodPlan:
    """What the pod of the job's agent needs now. An agent that a person removed leaves a pod to be removed."""
    agent_id = lease.subject_id
    found = tx.find(select(Agent).where(Agent.id == agent_id))
    if found is None:
        return PodPlan(PodStep.REMOVE, AgentPod(agent_id, ""))
    if tx.get(Job, lease.job_id).waits_for is None:
        _end_overdue(tx, agent_id)
    agent = tx.lock(Agent, agent_id)
    if agent.state is AgentState.OFFLINE or _is_over(tx, agent):
        return PodPlan(PodStep.REMOVE, AgentPod(agent_id, ""))
    if agent.pod_made_at is None and agent.token_sealed is not None:
        return PodPlan(PodStep.START, AgentPod(agent_id, unseal(agent.token_sealed)["token"]))
    return PodPlan(PodStep.WATCH, AgentPod(agent_id, ""))


def _is_over(tx: Transaction, agent: Agent) -> bool:
    """Whether the agent has nothing to do any more, and has had the time to say so and end."""
    if lifecycle.live_runs_of(tx, agent.id):
        return False
    ended = tx.session.execute(select(func.max(Run.finished_at)).where(Run.agent_id == agent.id)).scalar()
    if ended is not None:
        return bool(ended < tx.now() - timedelta(seconds=LINGER_SECONDS)) or agent.pod_made_at is None
    return agent.state is AgentState.DRAINING


def _end_overdue(tx: Transaction, agent_id: str) -> None:
    """One whose pod does not come to life is given up; one that has waited long for work makes room for a fresh one."""
    chosen = fleet_settings()
    agent = tx.get(Agent, agent_id)
    if chosen is None:
        return
    age = (tx.now() - agent.created_at).total_seconds()
    # Its pod may have been made late: that the cluster denied access for an hour is no fault of the pod's.
    coming = (tx.now() - (agent.pod_made_at or agent.created_at)).total_seconds()
    if agent.state is AgentState.STARTING and coming > chosen.start_seconds:
        last = last_seen(tx).get(agent_id)
        because = f"; last seen: {last}" if last else ""
        _give_up(tx, agent_id, f"its pod did not come to life within {chosen.start_seconds} s{because}")
    elif agent.state is AgentState.IDLE and agent.last_task_id is None and age > chosen.lifetime_seconds / 2:
        agent = tx.lock(Agent, agent_id)
        if agent.state is AgentState.IDLE:
            lifecycle.drain_agent(tx, agent, by=By.PLATFORM)


def last_seen(tx: Transaction) -> dict[str, str]:
    """By the agent's id, what its pod was last seen to lack, such as the quota: its job's error. Only where it does."""
    waits = select(Job.subject_id, Job.error).where(
        Job.kind == jobs.RUN_AGENT.name, Job.state_.in_(LIVE_JOB), Job.error.is_not(None)
    )  # fmt: skip
    return {agent_id: error for agent_id, error in tx.session.execute(waits) if error}


@transactional
def record_pod(
    tx: Transaction, lease: Lease, *, problem: str | None, is_ended: bool, waits_for: str | None = None
) -> None:
    """What the cluster says of the pod. problem: it runs no more, and why. is_ended: its agent ended by itself.

    waits_for: why it does not begin, where the cluster says so. It stands on the job until it is over.
    """
    agent_id = lease.subject_id
    if tx.find(select(Agent).where(Agent.id == agent_id)) is None:
        tx.again(lease, after_seconds=0)
        return
    if problem is None and is_ended:
        problem = "its pod ended" if lifecycle.live_runs_of(tx, agent_id) else None
    if problem is not None:
        _give_up(tx, agent_id, problem)
    agent = tx.lock(Agent, agent_id)
    agent.pod_made_at = agent.pod_made_at or tx.now()
    if is_ended:
        lifecycle.lose_agent(tx, agent)
    tx.queue.show_reason(lease, waits_for)
    if agent.state is AgentState.OFFLINE:
        tx.again(lease, after_seconds=0)
    else:
        is_settled = agent.state in {AgentState.IDLE, AgentState.BUSY}
        tx.again(lease, after_seconds=LOOK_SECONDS if is_settled else SOON_SECONDS)


@transactional
def record_pod_removed(tx: Transaction, lease: Lease) -> None:
    """The pod is gone or going; its agent's token is good for nothing any more."""
    agent_id = lease.subject_id
    if tx.find(select(Agent).where(Agent.id == agent_id)) is not None:
        _retire(tx, agent_id)
    tx.finish(lease)


@transactional
def give_agent_up(tx: Transaction, agent_id: str, reason: str) -> None:
    """Its pod can't be made or looked at: what becomes of the agent of a job that is parked."""
    if tx.find(select(Agent).where(Agent.id == agent_id)) is not None:
        _give_up(tx, agent_id, f"its pod could not be run: {reason}")
        _retire(tx, agent_id)


def _give_up(tx: Transaction, agent_id: str, reason: str) -> None:
    """The agent works no more: its run is lost for that reason, which its log keeps."""
    live = tx.session.scalars(select(Run.id).where(Run.agent_id == agent_id, Run.live_task_id.is_not(None))).all()
    reason = KNOWN_FORMATS(reason)
    for held in live:
        reason = mask_of_run(tx, tx.get(Run, held))(reason)
    run_end.lose_runs(tx, live, reason, is_fault=True)
    agent = tx.lock(Agent, agent_id)
    lifecycle.lose_agent(tx, agent)
    for run_id in live if live else (None,):
        tx.add(LogEntry(agent_id=agent_id, run_id=run_id, at=tx.now(), level="error", kind="log", message=reason))
    tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)


def _retire(tx: Transaction, agent_id: str) -> None:
    agent = tx.lock(Agent, agent_id)
    agent.digest, agent.token_sealed = f"gone-{agent.id}", None
    lifecycle.lose_agent(tx, agent)


@transactional
def orphans(tx: Transaction, names: Sequence[str]) -> list[str]:
    """Those of the pods whose agents are not known, or retired."""
    kept = select(Agent.id).where(Agent.id.in_(names), Agent.is_pod.is_(True), Agent.token_sealed.is_not(None))
    return sorted(set(names) - set(tx.session.scalars(kept)))
