"""The lives of runs and agents: the only place that moves them from one state to another.

Each act expects the rows that it changes to be locked. What becomes of the run's task is in run_end.py.
"""

from __future__ import annotations

from sqlalchemy import func, select

from common import jobs
from common.events import PLATFORM
from common.models.agent import Agent
from common.models.run import Run
from common.states import AgentState, By, Outcome, RunState
from common.transaction import Transaction


def make_claimable(tx: Transaction, run: Run) -> None:
    """Branch and credential are there: its agent may claim the run."""
    run.seen_at = tx.now()
    run.move_to(RunState.READY, By.PLATFORM)
    tx.wake(f"agent:{run.agent_id}")


def start(tx: Transaction, run: Run) -> None:
    """Its agent has claimed the run. A run that was claimed before keeps its start: the answer may have been lost."""
    run.seen_at = tx.now()
    if run.state is RunState.READY:
        run.move_to(RunState.RUNNING, By.PLATFORM)
        run.started_at = tx.now()


def end(tx: Transaction, run: Run, outcome: Outcome, reason: str | None, *, by: By) -> None:
    """The run, not over yet, is over: its token is void, its agent free, its credential is taken away by a job.

    reason: masked by the caller.
    """
    run.move_to(RunState.ENDED, by)
    run.outcome, run.reason, run.finished_at = outcome, reason, tx.now()
    tx.session.flush()
    tx.enqueue(jobs.CLOSE_RUN, run.id, project_id=run.project_id)
    tx.wake(f"run:{run.id}")
    _free_agent(tx, run, completed=outcome is Outcome.COMPLETED)
    tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)


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
        # A pod is for one run: the next one gets a fresh one.
        tx.record(agent.move_to(AgentState.DRAINING, By.PLATFORM, feed=feed, task_id=run.task_id))
        tx.enqueue(jobs.RUN_AGENT, agent.id, project_id=None)
    elif remaining is None and agent.state is AgentState.BUSY:
        tx.record(agent.move_to(AgentState.IDLE, By.PLATFORM, feed=feed, task_id=run.task_id))


def occupy_agent(tx: Transaction, agent: Agent, *, task_id: str, project_id: str) -> None:
    """The agent was given a run of this task. One that is still to start becomes busy when it is heard of."""
    agent.current_task_id = agent.last_task_id = task_id
    if agent.state is AgentState.IDLE:
        tx.record(agent.move_to(AgentState.BUSY, By.PLATFORM, feed=project_id, task_id=task_id))


def welcome_agent(tx: Transaction, agent: Agent) -> None:
    """An agent that was starting or offline was heard of: idle, or busy if it has a run, and scheduled again."""
    tx.record(agent.move_to(AgentState.BUSY if live_runs_of(tx, agent.id) else AgentState.IDLE, By.PLATFORM))
    tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)


def drain_agent(tx: Transaction, agent: Agent, *, by: By) -> None:
    """It finishes what it has and takes nothing more. Nothing changes for one that drains already."""
    if agent.state is not AgentState.DRAINING:
        tx.record(agent.move_to(AgentState.DRAINING, by))


def lose_agent(tx: Transaction, agent: Agent) -> None:
    """It is not heard of any more. Nothing changes for one that is offline already."""
    if agent.state is not AgentState.OFFLINE:
        tx.record(agent.move_to(AgentState.OFFLINE, By.PLATFORM))


def live_runs_of(tx: Transaction, agent_id: str) -> int:
    """How many runs the agent has that are not over."""
    count = select(func.count()).select_from(Run).where(Run.agent_id == agent_id, Run.live_task_id.is_not(None))
    return tx.session.execute(count).scalar_one()
