"""Agents as people see them: list, read, drain, delete. Also detects agents that are gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import select

from common.errors import Conflict, NotFound
from common.events.catalogue import AgentDeleted
from common.jobs import catalogue
from common.models.account import EnrolmentToken
from common.models.agent import Agent
from common.models.project import Project
from common.models.run import LogEntry, Run
from common.models.task import Task
from common.secrets.sealing import digest, new_token
from common.services.activity import heartbeat_reception
from common.services.agents import pods
from common.services.agents.waiting_tasks import AGENT_LOST_SECONDS
from common.services.lifecycle import run_states
from common.services.requests.access import Caller, sees_project
from common.services.requests.paging import Page, PageQuery, page_of
from common.services.runs import run_end
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.names import new_id
from common.values.states import AgentState, By, Role, RunState

UNCLAIMED_SECONDS = 15
"""A run that its agent has not claimed by then goes to another one: a running agent claims within seconds."""
KEPT_OFFLINE_DAYS = 7
"""An agent without a heartbeat for this long is deleted."""
KEPT_POD_HOURS = 24
"""The same for an agent in a pod, as there is one for each run."""


@dataclass(frozen=True)
class AgentView:
    """An agent as one caller may see it.

    current_task_id: None if it has no task, or one that the caller may not see. logs: the newest entries, oldest first;
    empty in lists.
    """

    agent: Agent
    current_task_id: str | None = None
    logs: Sequence[LogEntry] = ()


def list_agents(page: PageQuery, *, status: str | None = None, by: Caller) -> Page[AgentView]:
    """All agents, or those in one state. Agents belong to the platform, so every user sees them."""
    by.require(Role.VIEWER)
    query = select(Agent)
    if status is not None:
        query = query.where(Agent.state_ == status)
    with snapshot() as read:
        found = page_of(read, query, Agent.created_at, Agent.id, page)
        views = _views(read, found.items, by)
    return found.of(views)


def _views(at: Snapshot | Transaction, agents: Sequence[Agent], by: Caller) -> list[AgentView]:
    wanted = [agent.current_task_id for agent in agents if agent.current_task_id]
    visible = select(Task.id).join(Project, Project.id == Task.project_id).where(Task.id.in_(wanted), sees_project(by))
    shown = frozenset(at.session.scalars(visible)) if wanted else frozenset()
    return [AgentView(one, one.current_task_id if one.current_task_id in shown else None) for one in agents]


def read_agent(agent_id: str, *, by: Caller) -> AgentView:
    """The agent and the newest entries of its log, oldest first."""
    with snapshot() as read:
        agent = read.get(Agent, agent_id)
        if agent is None:
            raise NotFound(f"agent {agent_id}")
        shown = _views(read, [agent], by)[0]
    return replace(shown, logs=list_agent_logs(agent_id, limit=50, level=None, by=by))


def list_agent_logs(agent_id: str, *, limit: int, level: str | None, by: Caller) -> Sequence[LogEntry]:
    """The newest entries, oldest first. Entries of runs are included only for projects that the caller may see."""
    query = select(LogEntry).where(LogEntry.agent_id == agent_id)
    if level is not None:
        query = query.where(LogEntry.level == level)
    if not by.is_admin:
        # Asked of each entry, newest first, until there are enough: not of all runs of these projects at once.
        theirs = select(Run.id).join(Project, Project.id == Run.project_id)
        is_theirs = theirs.where(Run.id == LogEntry.run_id, sees_project(by)).exists()
        query = query.where(LogEntry.run_id.is_(None) | is_theirs)
    with snapshot() as read:
        if read.get(Agent, agent_id) is None:
            raise NotFound(f"agent {agent_id}")
        return list(reversed(read.all(query.order_by(LogEntry.id.desc()).limit(limit))))


@transactional
def drain_agent(tx: Transaction, agent_id: str, *, by: Caller) -> AgentView:
    """Have the agent finish its runs and take no new ones. Safe to repeat.

    One that is offline, or becomes so before a heartbeat told it, drains when it is back.
    """
    by.require(Role.MAINTAINER)
    agent = tx.lock(Agent, agent_id)
    if agent.state is not AgentState.DRAINING:
        run_states.drain_agent(tx, agent, by=By.PERSON)
        tx.wake(f"agent:{agent.id}")
        _check_pod(tx, agent)
    return _views(tx, [agent], by)[0]


@transactional
def end_drains(tx: Transaction, agent_ids: Collection[str]) -> None:
    """Have those of the agents that drain take work again from their next heartbeat on. Their processes have ended.

    Until then they are offline. Agents in pods are left alone: a pod is never used again. Safe to repeat.
    """
    for agent in tx.lock_all(Agent, agent_ids):
        if agent.is_pod:
            continue
        agent.drain = None
        if agent.state is AgentState.DRAINING:
            run_states.lose_agent(tx, agent)


@transactional
def delete_agent(tx: Transaction, agent_id: str, *, by: Caller) -> None:
    """Delete the agent, so that its token is not valid any more. Conflict while it has a live run."""
    by.require(Role.ADMIN)
    agent = tx.lock(Agent, agent_id)
    live = run_states.live_runs_of(tx, agent.id)
    if live:
        raise Conflict(
            f"agent {agent.id} is {agent.state} with one live run; drain it first"
            if live == 1
            else f"agent {agent.id} is {agent.state} with {live} live runs; drain it first"
        )
    _check_pod(tx, agent)
    tx.record(AgentDeleted(agent_id=agent.id, pod_name=agent.pod_name))
    tx.session.delete(agent)


def _check_pod(tx: Transaction, agent: Agent) -> None:
    if agent.is_pod and agent.token_sealed is not None:
        tx.enqueue(catalogue.RUN_AGENT, agent.id, project_id=None)


@transactional
def expire_agents(tx: Transaction) -> int:
    """Mark agents offline that sent no heartbeat for a minute, and lose their runs and runs that were not claimed.

    Agents whose pod is still starting are left to the job that creates the pod. After the platform itself was down, or
    no web process was there to hear them, agents have AGENT_LOST_SECONDS to send a heartbeat; runs that get none then
    were lost by that.

    Returns how many runs were lost. Safe to repeat.
    """
    since = heartbeat_reception.note_sweep(tx)
    if since is not None and since > tx.now() - timedelta(seconds=AGENT_LOST_SECONDS):
        return 0
    deadline = tx.now() - timedelta(seconds=AGENT_LOST_SECONDS)
    unclaimed = tx.now() - timedelta(seconds=UNCLAIMED_SECONDS)
    coming = select(Agent.id).where(Agent.is_pod.is_(True), Agent.state_ == AgentState.STARTING)
    overdue = select(Run.id).where(
        Run.state_.in_((RunState.RUNNING, RunState.READY)),
        Run.agent_id.not_in(coming),
        ((Run.state_ == RunState.RUNNING) & (Run.seen_at < deadline))
        | ((Run.state_ == RunState.READY) & (Run.seen_at < unclaimed)),
    )
    restarted = tx.session.scalars(overdue.where(Run.seen_at < since)).all() if since is not None else ()
    silent_runs = tx.session.scalars(overdue).all()
    run_end.lock_runs(tx, silent_runs)
    # Until they were locked, some may have been claimed, or named by a heartbeat.
    silent_runs = tx.session.scalars(overdue.where(Run.id.in_(silent_runs))).all()
    reason = "its agent sent no heartbeat for a minute"
    lost = run_end.lose_runs(tx, silent_runs, reason, restarted=restarted, seen=pods.last_seen(tx))
    silent = select(Agent.id).where(
        Agent.seen_at < deadline, Agent.state_ != AgentState.OFFLINE, Agent.id.not_in(coming)
    )
    for agent in tx.lock_all(Agent, tx.session.scalars(silent).all()):
        if agent.seen_at < deadline:
            run_states.lose_agent(tx, agent)
    return lost


@transactional
def forget_agents(tx: Transaction) -> int:
    """Delete agents that have been offline for KEPT_OFFLINE_DAYS, or KEPT_POD_HOURS in pods. Returns how many."""
    deadline = tx.now() - timedelta(days=KEPT_OFFLINE_DAYS)
    of_pods = tx.now() - timedelta(hours=KEPT_POD_HOURS)
    gone = tx.all(
        select(Agent)
        .where(
            Agent.state_ == AgentState.OFFLINE,
            (Agent.seen_at < deadline) | (Agent.is_pod.is_(True) & (Agent.seen_at < of_pods)),
            ~select(Run.id).where(Run.agent_id == Agent.id, Run.live_task_id.is_not(None)).exists(),
        )
        # One that is locked may be coming back.
        .with_for_update(skip_locked=True)
    )
    for agent in gone:
        tx.session.delete(agent)
    return len(gone)


@transactional
def create_local_enrolment(tx: Transaction) -> str:
    """A token with which agents on this machine register, valid for a day. `aiworker up` creates one at each start."""
    token = new_token("awe")
    tx.add(
        EnrolmentToken(
            id=new_id(), digest=digest(token), created_by="platform", created_at=tx.now(),
            expires_at=tx.now() + timedelta(days=1),
        )
    )  # fmt: skip
    return token
