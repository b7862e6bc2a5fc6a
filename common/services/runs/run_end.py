"""How a run ends, whoever ends it: its token dies, its agent is freed, its credential is taken away by a job.

The callers hold the task's lock. What becomes of the task is theirs to say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import func, select

from common import jobs
from common.events import PLATFORM
from common.models.agent import Agent
from common.models.run import Run
from common.models.task import Task
from common.services.projects.variables import mask_of_run
from common.services.tasks.feedback import give_back
from common.states import AgentState, By, Outcome, Phase, RunState, TaskState
from common.transaction import Transaction

MOST_ATTEMPTS = 3
"""Runs lost in a row before a task is given up."""
MOST_LOSSES = 10
"""The same for runs that were lost by no fault of the task's: enough for restarts, and an end for a task that kills."""


def live_run(tx: Transaction, task_id: str) -> Run | None:
    """The task's live run, locked; None if it has none."""
    found = tx.find(select(Run).where(Run.live_task_id == task_id))
    return None if found is None else tx.lock(Run, found.id)


def end_run(tx: Transaction, run: Run, outcome: Outcome, reason: str | None, *, by: By = By.PLATFORM) -> None:
    """The run is over and its agent free. Nothing happens to one that is over already. reason is masked here."""
    if run.state is RunState.ENDED:
        return
    reason = mask_of_run(tx, run)(reason) if reason else reason
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
    if remaining is None and agent.is_pod and agent.state in {AgentState.STARTING, AgentState.IDLE, AgentState.BUSY}:
        # A pod is for one run: the next one gets a fresh one.
        feed = run.project_id or PLATFORM
        tx.record(agent.move_to(AgentState.DRAINING, By.PLATFORM, feed=feed, task_id=run.task_id))
        tx.enqueue(jobs.RUN_AGENT, agent.id, project_id=None)
    elif remaining is None and agent.state is AgentState.BUSY:
        tx.record(agent.move_to(AgentState.IDLE, By.PLATFORM, feed=run.project_id or PLATFORM, task_id=run.task_id))


def requeue(tx: Transaction, task: Task, *, reason: str | None, counts: bool, is_loss: bool = False) -> None:
    """Put a task that lost its run back into the backlog, or give it up after MOST_ATTEMPTS in a row.

    counts: it is one of those attempts. is_loss: the machine lost the run at work; MOST_LOSSES of these are too many.
    A task that waits for a person stays there: the answer queues it.
    """
    task.assigned_agent_id, task.queued_at, task.updated_at = None, tx.now(), tx.now()
    if counts:
        task.attempts += 1
    if is_loss:
        task.losses += 1
    if task.state is not TaskState.IN_PROGRESS:
        return
    if task.attempts >= MOST_ATTEMPTS or task.losses >= MOST_LOSSES:
        task.error = f"given up after {task.attempts + task.losses} lost runs; the last one: {reason}"
        tx.record(task.move_to(TaskState.FAILED, By.PLATFORM))
    else:
        tx.record(task.move_to(TaskState.BACKLOG, By.PLATFORM))


def queue_again(tx: Transaction, task: Task, *, by: By) -> None:
    """The task waits for an agent inside in_progress, ahead of those in the backlog."""
    task.assigned_agent_id, task.queued_at, task.updated_at = None, tx.now(), tx.now()
    if task.state is TaskState.IN_PROGRESS:
        task.enter_phase(Phase.QUEUED)
    else:
        tx.record(task.move_to(TaskState.IN_PROGRESS, by, phase=Phase.QUEUED))
    tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)


def lose_runs(
    tx: Transaction,
    run_ids: Sequence[str],
    reason: str,
    *,
    is_fault: bool = False,
    restarted: Collection[str] = frozenset(),
    seen: Mapping[str, str] | None = None,
) -> int:
    """Live runs are lost: their tasks are taken up again, their branches stay. Returns how many were not over yet.

    seen: by the agent's id, what was last seen to be wrong with its pod, where there was something.

    A run that was not claimed does not count towards a task's attempts, but for is_fault: what is wrong will stay so.
    restarted: those of the runs whose agent, or the platform, was started anew: that says nothing about their tasks.
    """
    lost = 0
    for task, run in _locked(tx, run_ids):
        if run.state is RunState.ENDED:
            continue
        was_at_work = run.state is RunState.RUNNING
        last = (seen or {}).get(run.agent_id)
        why = mask_of_run(tx, run)(f"{reason}; last seen: {last}" if last else reason)
        end_run(tx, run, Outcome.LOST, why if is_fault or was_at_work else "its agent did not claim it")
        give_back(tx, run)
        is_loss = was_at_work and run.id in restarted
        requeue(tx, task, reason=why, counts=is_fault or (was_at_work and not is_loss), is_loss=is_loss)
        lost += 1
    return lost


def abandon_runs(tx: Transaction, run_ids: Sequence[str], reason: str) -> None:
    """Runs end because nobody wants their results any more."""
    for _task, run in _locked(tx, run_ids):
        end_run(tx, run, Outcome.CANCELLED, reason, by=By.PERSON)


def _locked(tx: Transaction, run_ids: Sequence[str]) -> list[tuple[Task, Run]]:
    """The runs with their tasks, all locked, in the order of locks."""
    of_tasks = tx.session.scalars(select(Run.task_id).where(Run.id.in_(run_ids))).all()
    tasks = {task.id: task for task in tx.lock_all(Task, of_tasks)}
    runs = tx.lock_all(Run, run_ids)
    tx.lock_all(Agent, {run.agent_id for run in runs})
    return [(tasks[run.task_id], run) for run in runs]


def live_runs_of(tx: Transaction, agent_id: str) -> int:
    count = select(func.count()).select_from(Run).where(Run.agent_id == agent_id, Run.live_task_id.is_not(None))
    return tx.session.execute(count).scalar_one()
