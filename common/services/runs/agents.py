"""Agents as people see them: listed, read, drained, removed; and noticed when they are gone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from common import jobs
from common.errors import Conflict, NotFound
from common.models.account import EnrolmentToken
from common.models.agent import Agent
from common.models.journal import Mark
from common.models.run import LogEntry, Run
from common.models.task import Task
from common.names import new_id
from common.sealing import digest, new_token
from common.services.access import Caller, visible_projects
from common.services.jobs import set_mark
from common.services.paging import Page, PageQuery, page_of
from common.services.runs import fleet, lifecycle, run_end
from common.services.runs.scheduling import AGENT_LOST_SECONDS
from common.states import AgentState, By, Role, RunState
from common.transaction import Transaction, snapshot, transactional

UNCLAIMED_SECONDS = 15
"""A run that its agent has not claimed by then goes to another one: an agent that is there claims within seconds."""
AWAY_SECONDS = 30
"""The platform was away if it did not look at its agents for this long: it does so every few seconds."""
KEPT_OFFLINE_DAYS = 7
"""An agent that was not heard of for this long is forgotten."""
KEPT_POD_HOURS = 24
"""So long for one whose pod was made for a run: there is one for each."""


def list_agents(page: PageQuery, *, status: AgentState | None = None, by: Caller) -> Page[Agent]:
    """Every agent, or those in one state; agents belong to the platform, so everybody sees them."""
    by.require(Role.VIEWER)
    query = select(Agent)
    if status is not None:
        query = query.where(Agent.state_ == status)
    with snapshot() as read:
        return page_of(read, query, Agent.created_at, Agent.id, page)


def read_agent(agent_id: str, *, by: Caller) -> tuple[Agent, Sequence[LogEntry]]:
    """The agent and the newest entries of its log, oldest first."""
    with snapshot() as read:
        agent = read.get(Agent, agent_id)
        if agent is None:
            raise NotFound(f"agent {agent_id}")
    return agent, list_agent_logs(agent_id, limit=50, level=None, by=by)


def list_agent_logs(agent_id: str, *, limit: int, level: str | None, by: Caller) -> Sequence[LogEntry]:
    """The newest entries, oldest first; those of runs only of projects that exist for the caller."""
    query = select(LogEntry).where(LogEntry.agent_id == agent_id)
    if level is not None:
        query = query.where(LogEntry.level == level)
    if not by.is_admin:
        theirs = select(Run.id).where(Run.project_id.in_(visible_projects(by)))
        query = query.where((LogEntry.run_id.is_(None)) | (LogEntry.run_id.in_(theirs)))
    with snapshot() as read:
        if read.get(Agent, agent_id) is None:
            raise NotFound(f"agent {agent_id}")
        return list(reversed(read.all(query.order_by(LogEntry.id.desc()).limit(limit))))


def visible_tasks(task_ids: Sequence[str], *, by: Caller) -> frozenset[str]:
    """Those of the tasks that exist for the caller: agents are everybody's, what they work on is not."""
    query = select(Task.id).where(Task.id.in_(task_ids), Task.project_id.in_(visible_projects(by)))
    with snapshot() as read:
        return frozenset(read.session.scalars(query))


@transactional
def drain_agent(tx: Transaction, agent_id: str, *, by: Caller) -> Agent:
    """It finishes what it has and takes nothing more. Safe to repeat."""
    by.require(Role.MAINTAINER)
    agent = tx.lock(Agent, agent_id)
    if agent.state is not AgentState.DRAINING:
        lifecycle.drain_agent(tx, agent, by=By.PERSON)
        tx.wake(f"agent:{agent.id}")
        _look_at_pod(tx, agent)
    return agent


@transactional
def delete_agent(tx: Transaction, agent_id: str, *, by: Caller) -> None:
    """Its token is good for nothing any more. Conflict while it has a live run: drain it first."""
    by.require(Role.ADMIN)
    agent = tx.lock(Agent, agent_id)
    live = lifecycle.live_runs_of(tx, agent.id)
    if live:
        raise Conflict(f"agent {agent.id} is {agent.state} with {live} live run(s); drain it first")
    _look_at_pod(tx, agent)
    tx.session.delete(agent)


def _look_at_pod(tx: Transaction, agent: Agent) -> None:
    if agent.is_pod and agent.token_sealed is not None:
        tx.enqueue(jobs.RUN_AGENT, agent.id, project_id=None)


@transactional
def expire_agents(tx: Transaction) -> int:
    """Agents not heard of for a minute are offline and their runs lost; so are runs that no agent took or named.

    An agent whose pod is still to come to life is waited for by the job that makes it. After the platform itself was
    away, agents get the time to be heard of again; a run that is not was lost by that restart.

    Returns how many runs were lost. Safe to repeat.
    """
    since = _listening_since(tx)
    if since is not None and since > tx.now() - timedelta(seconds=AGENT_LOST_SECONDS):
        return 0
    deadline = tx.now() - timedelta(seconds=AGENT_LOST_SECONDS)
    unclaimed = tx.now() - timedelta(seconds=UNCLAIMED_SECONDS)
    coming = select(Agent.id).where(Agent.is_pod.is_(True), Agent.state_ == AgentState.STARTING)
    overdue = select(Run.id).where(
        Run.agent_id.not_in(coming),
        ((Run.state_ == RunState.RUNNING) & (Run.seen_at < deadline))
        | ((Run.state_ == RunState.READY) & (Run.seen_at < unclaimed)),
    )
    restarted = tx.session.scalars(overdue.where(Run.seen_at < since)).all() if since is not None else ()
    silent_runs = tx.session.scalars(overdue).all()
    silent_for = "its agent was not heard of for a minute"
    lost = run_end.lose_runs(tx, silent_runs, silent_for, restarted=restarted, seen=fleet.last_seen(tx))
    silent = select(Agent.id).where(
        Agent.seen_at < deadline, Agent.state_ != AgentState.OFFLINE, Agent.id.not_in(coming)
    )
    for agent in tx.lock_all(Agent, tx.session.scalars(silent).all()):
        lifecycle.lose_agent(tx, agent)
    return lost


def _listening_since(tx: Transaction) -> datetime | None:
    """When the platform came back, if it was away since it is there: the clockwork did not run for AWAY_SECONDS."""
    mark = tx.find(select(Mark).where(Mark.name == "listening"))
    kept = mark.value.get("since") if mark is not None else None
    since = datetime.fromisoformat(str(kept)) if kept else None
    if mark is not None and mark.at < tx.now() - timedelta(seconds=AWAY_SECONDS):
        since = tx.now()
    set_mark(tx, "listening", {"since": since.isoformat() if since else None})
    return since


@transactional
def forget_agents(tx: Transaction) -> int:
    """Remove agents that have been offline for a week, or a day where each run has its own. Returns how many."""
    deadline = tx.now() - timedelta(days=KEPT_OFFLINE_DAYS)
    of_pods = tx.now() - timedelta(hours=KEPT_POD_HOURS)
    gone = tx.all(
        select(Agent).where(
            Agent.state_ == AgentState.OFFLINE,
            (Agent.seen_at < deadline) | (Agent.is_pod.is_(True) & (Agent.seen_at < of_pods)),
            ~select(Run.id).where(Run.agent_id == Agent.id, Run.live_task_id.is_not(None)).exists(),
        )
    )
    for agent in gone:
        tx.session.delete(agent)
    return len(gone)


@transactional
def create_local_enrolment(tx: Transaction) -> str:
    """A token that lets this machine's own agents register, good for a day; `aiworker up` makes one at each start."""
    token = new_token("awe")
    tx.add(
        EnrolmentToken(
            id=new_id(), digest=digest(token), created_by="platform", created_at=tx.now(),
            expires_at=tx.now() + timedelta(days=1),
        )
    )  # fmt: skip
    return token
