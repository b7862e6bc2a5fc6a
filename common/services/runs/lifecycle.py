"""State changes of runs and agents. Only this module changes their states.

Every function expects the rows that it changes to be locked. run_end.py changes the run's task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ClauseElement, case, func, select, update

from common import jobs
from common.events import PLATFORM, AgentStatus
from common.models.agent import Agent
from common.models.run import Run
from common.services.spend.cap_warnings import warn_of_caps
from common.services.spend.spend_counters import Spent, raise_counters, seconds_by_day
from common.statements import ListStatement, Places
from common.states import AgentState, By, Outcome, RunState
from common.transaction import Snapshot, Transaction
from common.values.agent_review import Purpose


def make_claimable(tx: Transaction, run: Run) -> None:
    """The branch and the credential exist: the agent may claim the run."""
    run.seen_at = tx.now()
    run.move_to(RunState.READY, By.PLATFORM)
    tx.wake(f"agent:{run.agent_id}")


def start(tx: Transaction, run: Run) -> None:
    """The agent claimed the run. A run that is claimed again, because the answer was lost, keeps its start time."""
    run.seen_at = tx.now()
    if run.state is RunState.READY:
        run.move_to(RunState.RUNNING, By.PLATFORM)
        run.started_at = tx.now()
        # The cap of runs is about attempts at the task.
        if not run.is_review:
            raise_counters(tx, [(run.task_id, run.project_id, tx.now().date(), Spent(runs=1))])
            warn_of_caps(tx, [run.task_id])


def end(tx: Transaction, run: Run, outcome: Outcome, reason: str | None, *, by: By) -> None:
    """End a run that is not over: its token becomes void, its agent free, and a job revokes its credential.

    After a review the proof looks again. reason: masked by the caller.
    """
    run.move_to(RunState.ENDED, by)
    run.outcome, run.reason, run.finished_at = outcome, reason, tx.now()
    tx.session.flush()
    tx.enqueue(jobs.CLOSE_RUN, run.id, project_id=run.project_id)
    tx.wake(f"run:{run.id}")
    _free_agent(tx, run, completed=outcome is Outcome.COMPLETED and not run.is_review)
    if run.is_review and (work := newest_claim(tx, run.task_id)) is not None:
        tx.enqueue(jobs.VERIFY_RUN, work.id, project_id=run.project_id)
    tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)
    if run.started_at is not None:
        # After all locks: the counters of the platform are everybody's.
        days = seconds_by_day(run.started_at, tx.now()).items()
        raise_counters(tx, [(run.task_id, run.project_id, day, Spent(seconds=seconds)) for day, seconds in days])
        warn_of_caps(tx, [run.task_id])


def _free_agent(tx: Transaction, run: Run, *, completed: bool) -> None:
    agents = tx.lock_all(Agent, [run.agent_id])
    if not agents:
        return
    agent = agents[0]
    agent.tasks_completed += 1 if completed else 0
    agent.last_task_id = run.task_id
    remaining = tx.find(select(Run).where(Run.agent_id == agent.id, Run.live_task_id.is_not(None)))
    agent.current_task_id = remaining.task_id if remaining else None
    feed = run.project_id or PLATFORM
    if remaining is None and agent.is_pod and agent.state in {AgentState.STARTING, AgentState.IDLE, AgentState.BUSY}:
        # A pod serves one run; the next run gets a new pod.
        tx.record(agent.move_to(AgentState.DRAINING, By.PLATFORM, feed=feed, task_id=run.task_id))
        tx.enqueue(jobs.RUN_AGENT, agent.id, project_id=None)
    elif remaining is None and agent.state is AgentState.BUSY:
        tx.record(agent.move_to(AgentState.IDLE, By.PLATFORM, feed=feed, task_id=run.task_id))


@dataclass(frozen=True)
class Occupied:
    """An agent that runs were assigned to. first_task_id, project_id: of the first of them. was_idle: it becomes busy.

    An agent that is starting becomes busy with its first heartbeat.
    """

    agent_id: str
    was_idle: bool
    first_task_id: str
    project_id: str
    last_task_id: str


def occupy_agents(tx: Transaction, occupied: Sequence[Occupied]) -> None:
    """Runs were assigned to these agents, which are locked: show the newest one, and that the agents are busy."""
    tx.session.flush()
    _OCCUPY.run(tx.connection, [(one.agent_id, one.last_task_id) for one in occupied])
    for one in occupied:
        if one.was_idle:
            tx.record(
                AgentStatus(
                    feed=one.project_id, subject_task_id=one.first_task_id, agent_id=one.agent_id,
                    status=AgentState.BUSY, last_task_id=one.first_task_id,
                )
            )  # fmt: skip


def _occupy(occupied: Sequence[Places]) -> ClauseElement:
    last = case(*((Agent.id == agent_id, task_id) for agent_id, task_id in occupied))
    busy = case((Agent.state_ == AgentState.IDLE, AgentState.BUSY.value), else_=Agent.state_)
    changed = update(Agent).where(Agent.id.in_([agent_id for agent_id, _task_id in occupied]))
    return changed.values(current_task_id=last, last_task_id=last, state_=busy)


_OCCUPY = ListStatement(2, _occupy)


def welcome_agent(tx: Transaction, agent: Agent) -> None:
    """An agent that was starting, offline or unable to work can work: it becomes idle, or busy if it has a run."""
    tx.record(agent.move_to(AgentState.BUSY if live_runs_of(tx, agent.id) else AgentState.IDLE, By.PLATFORM))
    tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)


def stop_agent(tx: Transaction, agent: Agent) -> None:
    """The agent said that it can't work: it gets no runs until it says that it can. An agent that drains goes on so."""
    if agent.state in {AgentState.ERROR, AgentState.DRAINING}:
        return
    tx.record(agent.move_to(AgentState.ERROR, By.PLATFORM))
    if agent.is_pod:
        tx.enqueue(jobs.RUN_AGENT, agent.id, project_id=None)


def drain_agent(tx: Transaction, agent: Agent, *, by: By) -> None:
    """Have the agent finish its runs and take no new ones. Does nothing if it already drains."""
    if agent.state is not AgentState.DRAINING:
        tx.record(agent.move_to(AgentState.DRAINING, by))


def lose_agent(tx: Transaction, agent: Agent) -> None:
    """Mark the agent offline. Does nothing if it already is."""
    if agent.state is not AgentState.OFFLINE:
        tx.record(agent.move_to(AgentState.OFFLINE, By.PLATFORM))


def newest_claim(at: Snapshot | Transaction, task_id: str) -> Run | None:
    """The newest of the task's runs that reported that its work is done; None: none has."""
    is_claim = (Run.task_id == task_id, Run.outcome == Outcome.COMPLETED, Run.purpose == Purpose.WORK)
    return at.find(select(Run).where(*is_claim).order_by(Run.created_at.desc(), Run.id.desc()).limit(1))


def live_runs_of(tx: Transaction, agent_id: str) -> int:
    """The number of the agent's runs that are not over."""
    count = select(func.count()).select_from(Run).where(Run.agent_id == agent_id, Run.live_task_id.is_not(None))
    return tx.session.execute(count).scalar_one()
