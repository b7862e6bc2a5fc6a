"""The fleet: agents in pods that the platform creates for one run each, watches, and removes after the run.

An agent of the fleet first gets a row, to which a run may be assigned at once. A job then creates its pod and checks it
until the agent's work is over. If the pod fails, the run is lost, and its task is tried again or given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import cast

from sqlalchemy import ClauseElement, Table, bindparam, func, select
from sqlalchemy.dialects import mysql

from common.database import engines
from common.database.compiled_statements import Statement
from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models.agent import Agent
from common.models.journal import Job, Mark
from common.models.run import LogEntry, Run
from common.secrets.masking import KNOWN_FORMATS
from common.secrets.sealing import digest, new_token, seal, unseal
from common.services.activity import heartbeat_reception
from common.services.agents.waiting_tasks import ReadyAgent
from common.services.lifecycle import run_states
from common.services.project_settings.variables import mask_of_run, mask_or_sentence
from common.services.runs import run_end
from common.settings import FleetSettings, settings
from common.settings.kubernetes import FLEET_LIFETIME_SECONDS, FLEET_START_SECONDS
from common.transaction import Snapshot, Transaction, transactional
from common.values.names import new_agent_id
from common.values.runs.agent_pod import AgentPod
from common.values.states import LIVE_JOB, AgentState, By

SOON_SECONDS = 3
"""How often a pod that starts or ends is checked."""
LOOK_INTERVAL_SECONDS = 15
"""How often the pod of a running agent is checked, which also sends heartbeats."""
LINGER_SECONDS = 10
"""How long an agent whose run is over may take to end by itself."""
FAILED_PAUSE_SECONDS = 60
"""For this long after a pod failed without a run, no further agents are created ahead of work."""


class PodStep(StrEnum):
    START = "start"
    WATCH = "watch"
    REMOVE = "remove"


@dataclass(frozen=True)
class PodPlan:
    """What to do with a pod. pod: its token is empty except for START."""

    step: PodStep
    pod: AgentPod


def fleet_settings() -> FleetSettings | None:
    """The settings of the fleet; None if the platform creates no agents."""
    cluster = settings().runtime.kubernetes
    return None if cluster is None else cluster.fleet


def room(at: Snapshot | Transaction) -> int:
    """How many more agents there may be."""
    chosen = fleet_settings()
    return 0 if chosen is None else max(0, chosen.most - _count(at, Agent.state_ != AgentState.OFFLINE))


def lock_room(tx: Transaction) -> int:
    """How many agents may be created now. Nobody else creates one until the transaction ends."""
    if fleet_settings() is None:
        return 0
    if not engines.is_sqlite():
        # SQLite has one writer at a time.
        _LOCK.run(tx.connection, at=tx.now())
    return room(tx)


def _lock() -> ClauseElement:
    """Inserts the fleet's mark, or changes it: both lock the row."""
    values = {"name": "fleet", "at": bindparam("at"), "value": {}}
    return mysql.insert(cast("Table", Mark.__table__)).values(values).on_duplicate_key_update(at=bindparam("at"))


_LOCK = Statement(_lock)


def new_agents(read: Snapshot) -> list[ReadyAgent]:
    """What the scheduler matches tasks with before it creates agents: none, or one with room for all there may be."""
    chosen = fleet_settings()
    if chosen is None:
        return []
    return [ReadyAgent("", frozenset(chosen.capabilities), list(chosen.drivers), [], is_pod=True, room=room(read))]


def add_agent(tx: Transaction) -> Agent:
    """Create an agent. A job creates its pod; a run may be assigned to it at once. lock_room has said that it may."""
    chosen = fleet_settings()
    assert chosen is not None
    token, agent_id = new_token("awa"), new_agent_id()
    agent = tx.add(
        Agent(
            id=agent_id, state_=AgentState.STARTING, pod_name=agent_id, capabilities=list(chosen.capabilities),
            driver=chosen.driver, drivers=list(chosen.drivers), version="", slots=1, digest=digest(token),
            created_at=tx.now(), seen_at=tx.now(), is_pod=True, token_sealed=seal({"token": token}),
        )
    )  # fmt: skip
    tx.enqueue(catalogue.RUN_AGENT, agent.id, project_id=None)
    return agent


def add_waiting_agents(tx: Transaction) -> int:
    """Create agents until as many wait for work as the settings say. Returns how many were created.

    Creates none for FAILED_PAUSE_SECONDS after an agent failed before its first heartbeat, or said that it can't work:
    the next would fail, too.
    """
    chosen = fleet_settings()
    if chosen is None or chosen.least == 0:
        return 0
    lately = tx.now() - timedelta(seconds=FAILED_PAUSE_SECONDS)
    is_useless = (Agent.seen_at == Agent.created_at) | Agent.error.is_not(None)
    failed = (Agent.state_ == AgentState.OFFLINE, is_useless, Agent.created_at > lately)
    if _count(tx, *failed):
        return 0
    waiting = _count(tx, Agent.state_.in_([AgentState.STARTING, AgentState.IDLE]), Agent.last_task_id.is_(None))
    missing = chosen.least - waiting
    if missing > 0:
        missing = min(missing, lock_room(tx))
    for _ in range(missing):
        add_agent(tx)
    return max(0, missing)


def _count(at: Snapshot | Transaction, *where: object) -> int:
    query = select(func.count()).select_from(Agent).where(Agent.is_pod.is_(True), *where)  # type: ignore[arg-type]
    return at.session.execute(query).scalar_one()


@transactional
def begin_pod(tx: Transaction, lease: Lease) -> PodPlan:
    """The next step for the pod of the job's agent. If a person deleted the agent, its pod is removed."""
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
    """Whether the agent has no more work and has had the time to end by itself."""
    if run_states.live_runs_of(tx, agent.id):
        return False
    ended = tx.session.execute(select(func.max(Run.finished_at)).where(Run.agent_id == agent.id)).scalar()
    if ended is not None:
        return bool(ended < tx.now() - timedelta(seconds=LINGER_SECONDS)) or agent.pod_made_at is None
    return agent.state is AgentState.DRAINING


def _end_overdue(tx: Transaction, agent_id: str) -> None:
    """Give up an agent whose pod does not start in time or can't work, and drain one that waited too long, to be
    replaced.
    """
    chosen = fleet_settings()
    if chosen is None:
        return
    # Locked before it is looked at: its first heartbeat may come at this moment.
    run_end.lock_runs(tx, _live_runs(tx, agent_id))
    agent = tx.lock(Agent, agent_id)
    age = (tx.now() - agent.created_at).total_seconds()
    # Count from the pod's creation, which may be late, for example while the cluster denied access, and from when its
    # heartbeat could be heard.
    comes_since = agent.pod_made_at or agent.created_at
    coming = (
        tx.now() - max(comes_since, heartbeat_reception.heartbeats_taken_since(tx) or comes_since)
    ).total_seconds()
    if agent.state is AgentState.STARTING and coming > FLEET_START_SECONDS:
        last = last_seen(tx).get(agent_id)
        because = f"; last seen: {last}" if last else ""
        _give_up(tx, agent_id, f"its agent sent no heartbeat within {FLEET_START_SECONDS} s{because}")
    elif agent.state is AgentState.ERROR and not run_states.live_runs_of(tx, agent_id):
        _give_up(tx, agent_id, f"its agent can't work: {agent.error}")
    elif agent.state is AgentState.IDLE and agent.last_task_id is None and age > FLEET_LIFETIME_SECONDS / 2:
        run_states.drain_agent(tx, agent, by=By.PLATFORM)


def last_seen(tx: Transaction) -> dict[str, str]:
    """Agent id → why its pod last could not start, such as the quota (the error of its job), for agents with one."""
    waits = select(Job.subject_id, Job.error).where(
        Job.kind == catalogue.RUN_AGENT.name, Job.state_.in_(LIVE_JOB), Job.error.is_not(None)
    )  # fmt: skip
    return {agent_id: error for agent_id, error in tx.session.execute(waits) if error}


@transactional
def record_pod(
    tx: Transaction, lease: Lease, *, problem: str | None, is_ended: bool, waits_for: str | None = None
) -> None:
    """Store the state of the pod. problem: why it failed; None if it did not. is_ended: the agent ended by itself.

    waits_for: why the pod does not start yet; None if it does not wait. It is shown as the job's error meanwhile.
    """
    agent_id = lease.subject_id
    if tx.find(select(Agent).where(Agent.id == agent_id)) is None:
        tx.again(lease, after_seconds=0)
        return
    if problem is None and is_ended:
        _lose_untaken(tx, agent_id)
        problem = "its pod ended" if run_states.live_runs_of(tx, agent_id) else None
    if problem is not None:
        _give_up(tx, agent_id, problem)
    agent = tx.lock(Agent, agent_id)
    agent.pod_made_at = agent.pod_made_at or tx.now()
    if is_ended:
        run_states.lose_agent(tx, agent)
    tx.queue.show_reason(lease, waits_for)
    if agent.state is AgentState.OFFLINE:
        tx.again(lease, after_seconds=0)
    else:
        is_settled = agent.state in {AgentState.IDLE, AgentState.BUSY}
        tx.again(lease, after_seconds=LOOK_INTERVAL_SECONDS if is_settled else SOON_SECONDS)


def _lose_untaken(tx: Transaction, agent_id: str) -> None:
    """Lose the runs that no heartbeat of the agent has named. It ended by itself, so it was told to before it took
    them: their tasks are not to blame. One that was never heard of may end like this each time, and is given up.
    """
    agent = tx.get(Agent, agent_id)
    if agent.seen_at > agent.created_at:
        untaken = select(Run.id).where(
            Run.agent_id == agent_id, Run.live_task_id.is_not(None), Run.is_acknowledged.is_(False)
        )  # fmt: skip
        run_end.lose_runs(tx, tx.session.scalars(untaken).all(), "its agent ended before it took the run")


@transactional
def record_pod_removed(tx: Transaction, lease: Lease) -> None:
    """The pod is removed: its agent's token is not valid any more."""
    agent_id = lease.subject_id
    if tx.find(select(Agent).where(Agent.id == agent_id)) is not None:
        _retire(tx, agent_id)
    tx.finish(lease)


@transactional
def give_agent_up(tx: Transaction, agent_id: str, reason: str) -> None:
    """The job of the agent's pod was parked: give the agent up, as its pod can't be created or checked."""
    if tx.find(select(Agent).where(Agent.id == agent_id)) is not None:
        _give_up(tx, agent_id, f"its pod could not be run: {reason}")
        _retire(tx, agent_id)


def _give_up(tx: Transaction, agent_id: str, reason: str) -> None:
    """Lose the agent's runs for this reason, add it to the agent's log, and mark the agent offline."""
    live = _live_runs(tx, agent_id)
    reason = KNOWN_FORMATS(reason)
    for held in live:
        reason = mask_or_sentence(mask_of_run, tx, tx.get(Run, held))(reason)
    run_end.lose_runs(tx, live, reason, is_fault=True)
    agent = tx.lock(Agent, agent_id)
    run_states.lose_agent(tx, agent)
    for run_id in live if live else (None,):
        tx.add(LogEntry(agent_id=agent_id, run_id=run_id, at=tx.now(), level="error", kind="log", message=reason))
    tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)


def _live_runs(tx: Transaction, agent_id: str) -> Sequence[str]:
    return tx.session.scalars(select(Run.id).where(Run.agent_id == agent_id, Run.live_task_id.is_not(None))).all()


def _retire(tx: Transaction, agent_id: str) -> None:
    agent = tx.lock(Agent, agent_id)
    agent.digest, agent.token_sealed = f"gone-{agent.id}", None
    run_states.lose_agent(tx, agent)


@transactional
def orphans(tx: Transaction, names: Sequence[str]) -> list[str]:
    """The names of those pods whose agents are unknown or retired."""
    kept = select(Agent.id).where(Agent.id.in_(names), Agent.is_pod.is_(True), Agent.token_sealed.is_not(None))
    return sorted(set(names) - set(tx.session.scalars(kept)))
