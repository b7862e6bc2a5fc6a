"""State changes of runs and agents. Only this module changes their states.

Every function expects the rows that it changes to be locked. run_end.py changes the run's task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ClauseElement, case, func, select, update

from common.database.compiled_statements import ListStatement, Places
from common.events.catalogue import PLATFORM, AgentStatus
from common.jobs import catalogue
from common.models.agent import Agent, Drain
from common.models.run import Run
from common.services.caps.cap_warnings import warn_of_caps
from common.services.caps.spend_counters import Spent, end_of_work, raise_counters, seconds_by_day
from common.transaction import Snapshot, Transaction
from common.values.states import AgentState, By, Outcome, RunState
from common.values.testing.agent_review import Purpose


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
    tx.enqueue(catalogue.CLOSE_RUN, run.id, project_id=run.project_id)
    tx.wake(f"run:{run.id}")
    _free_agent(tx, run, completed=outcome is Outcome.COMPLETED and not run.is_review)
    if run.is_review and (work := newest_claim(tx, run.task_id)) is not None:
        tx.enqueue(catalogue.VERIFY_RUN, work.id, project_id=run.project_id)
    tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)
    if run.started_at is not None:
        # After all locks: the counters of the platform are everybody's.
        days = seconds_by_day(run.started_at, end_of_work(outcome, run.seen_at, run.finished_at, tx.now())).items()
        raise_counters(tx, [(run.task_id, run.project_id, day, Spent(seconds=seconds)) for day, seconds in days])
        warn_of_caps(tx, [run.task_id])


def _free_agent(tx: Transaction, run: Run, *, completed: bool) -> None:
    agents = tx.lock_all(Agent, [run.agent_id])
    if not agents:
        return
    agent = agents[0]
    agent.tasks_completed += 1 if completed else 0
    agent.last_task_id = run.task_id
    remaining = tx.all(select(Run).where(Run.agent_id == agent.id, Run.live_task_id.is_not(None)))
    agent.current_task_id = remaining[0].task_id if remaining else None
    feed = run.project_id or PLATFORM
    if not remaining and agent.is_pod and agent.state in {AgentState.STARTING, AgentState.IDLE, AgentState.BUSY}:
        # A pod serves one run; the next run gets a new pod.
        tx.record(agent.move_to(AgentState.DRAINING, By.PLATFORM, feed=feed, task_id=run.task_id))
        tx.enqueue(catalogue.RUN_AGENT, agent.id, project_id=None)
    elif not remaining and agent.state is AgentState.BUSY:
        tx.record(agent.move_to(AgentState.IDLE, By.PLATFORM, feed=feed, task_id=run.task_id))
    elif all(other.project_id != run.project_id for other in remaining):
        # For this project it is idle, also while it works for others.
        status = AgentState.IDLE if agent.state is AgentState.BUSY else agent.state
        tx.record(_status_for(run.project_id, run.task_id, agent.id, status))


def _status_for(project_id: str, task_id: str, agent_id: str, status: AgentState) -> AgentStatus:
    """What a project is told when an agent takes its first task of the project, or leaves the last one."""
    return AgentStatus(
        feed=project_id, subject_task_id=task_id, agent_id=agent_id, status=status, last_task_id=task_id
    )  # fmt: skip


@dataclass(frozen=True)
class Occupied:
    """An agent that runs were assigned to. state: that it had before. taken: for each new run the ids of its task and
    its project, oldest first.

    An agent that is starting becomes busy with its first heartbeat.
    """

    agent_id: str
    state: AgentState
    taken: Sequence[tuple[str, str]]


def occupy_agents(tx: Transaction, occupied: Sequence[Occupied]) -> None:
    """Runs were assigned to these agents, which are locked: show the newest one, and that the agents are busy.

    A project is told that an agent is busy when the agent had no other run of that project.
    """
    tx.session.flush()
    _OCCUPY.run(tx.connection, [(one.agent_id, one.taken[-1][0]) for one in occupied])
    before = _runs_before(tx, [one for one in occupied if one.state is AgentState.BUSY])
    for one in occupied:
        told: set[str] = set()
        for task_id, project_id in one.taken if one.state is not AgentState.STARTING else ():
            if project_id not in told and not before[one.agent_id, project_id]:
                tx.record(_status_for(project_id, task_id, one.agent_id, AgentState.BUSY))
            told.add(project_id)


def _runs_before(tx: Transaction, occupied: Sequence[Occupied]) -> Counter[tuple[str, str]]:
    """How many live runs each of the agents has of each project, without the new ones: agent and project → number."""
    if not occupied:
        return Counter()
    query = select(Run.agent_id, Run.project_id, func.count()).group_by(Run.agent_id, Run.project_id)
    live = query.where(Run.agent_id.in_([one.agent_id for one in occupied]), Run.live_task_id.is_not(None))
    runs = Counter({(agent_id, project_id): number for agent_id, project_id, number in tx.session.execute(live)})
    runs.subtract((one.agent_id, project_id) for one in occupied for _task_id, project_id in one.taken)
    return runs


def _occupy(occupied: Sequence[Places]) -> ClauseElement:
    last = case(*((Agent.id == agent_id, task_id) for agent_id, task_id in occupied))
    busy = case((Agent.state_ == AgentState.IDLE, AgentState.BUSY.value), else_=Agent.state_)
    changed = update(Agent).where(Agent.id.in_([agent_id for agent_id, _task_id in occupied]))
    return changed.values(current_task_id=last, last_task_id=last, state_=busy)


_OCCUPY = ListStatement(2, _occupy)


def welcome_agent(tx: Transaction, agent: Agent) -> None:
    """An agent that was starting, offline or unable to work can work: it becomes idle, or busy if it has a run.

    A drain is over: see `still_drains`.
    """
    agent.drain = None
    tx.record(agent.move_to(AgentState.BUSY if live_runs_of(tx, agent.id) else AgentState.IDLE, By.PLATFORM))
    tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)


def stop_agent(tx: Transaction, agent: Agent) -> None:
    """The agent said that it can't work: it gets no runs until it says that it can. An agent that drains goes on so."""
    if agent.state in {AgentState.ERROR, AgentState.DRAINING}:
        return
    tx.record(agent.move_to(AgentState.ERROR, By.PLATFORM))
    if agent.is_pod:
        tx.enqueue(catalogue.RUN_AGENT, agent.id, project_id=None)


def drain_agent(tx: Transaction, agent: Agent, *, by: By) -> None:
    """Have the agent finish its runs and take no new ones, at once or when it is back. Nothing if it already drains."""
    if agent.state is not AgentState.DRAINING:
        agent.drain = Drain.ASKED
        tx.record(agent.move_to(AgentState.DRAINING, by))


def still_drains(agent: Agent, *, is_same: bool) -> bool:
    """Whether an agent that sends a heartbeat again is to drain. is_same: its process is the one that was told: it says
    so, or, of an older version, it names runs.

    One that was told has ended else: this is another process, which a person started to work.
    """
    return agent.drain == Drain.ASKED or (agent.drain == Drain.TOLD and is_same)


def lose_agent(tx: Transaction, agent: Agent) -> None:
    """Mark the agent offline. Does nothing if it already is."""
    if agent.state is not AgentState.OFFLINE:
        tx.record(agent.move_to(AgentState.OFFLINE, By.PLATFORM))


def newest_claim(at: Snapshot | Transaction, task_id: str) -> Run | None:
    """The newest of the task's runs that reported that its work is done; None: none has."""
    is_claim = (Run.task_id == task_id, Run.outcome == Outcome.COMPLETED, Run.purpose == Purpose.WORK)
    # By the round first: the clock may have been set back since the round before.
    newest_first = Run.round.desc(), Run.created_at.desc(), Run.id.desc()
    return at.find(select(Run).where(*is_claim).order_by(*newest_first).limit(1))


def live_runs_of(tx: Transaction, agent_id: str) -> int:
    """The number of the agent's runs that are not over."""
    count = select(func.count()).select_from(Run).where(Run.agent_id == agent_id, Run.live_task_id.is_not(None))
    return tx.session.execute(count).scalar_one()
