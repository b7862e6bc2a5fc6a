"""Ends runs, and handles the tasks of runs that were lost.

Callers of `end_run` hold the task's lock and change the task themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import select

from common.models.agent import Agent
from common.models.run import Run
from common.models.task import Task
from common.services.projects.variables import mask_of_run
from common.services.runs import lifecycle
from common.services.tasks.feedback import give_back
from common.services.tasks.lifecycle import requeue
from common.states import By, Outcome, RunState
from common.transaction import Transaction


def live_run(tx: Transaction, task_id: str) -> Run | None:
    """The task's live run, locked; None if it has none."""
    found = tx.find(select(Run).where(Run.live_task_id == task_id))
    return None if found is None else tx.lock(Run, found.id)


def end_run(tx: Transaction, run: Run, outcome: Outcome, reason: str | None, *, by: By = By.PLATFORM) -> None:
    """End the run and free its agent. Does nothing if the run is over. reason: masked here."""
    if run.state is not RunState.ENDED:
        lifecycle.end(tx, run, outcome, mask_of_run(tx, run)(reason) if reason else reason, by=by)


def lose_runs(
    tx: Transaction,
    run_ids: Sequence[str],
    reason: str,
    *,
    is_fault: bool = False,
    restarted: Collection[str] = frozenset(),
    seen: Mapping[str, str] | None = None,
) -> int:
    """End these runs as lost and put their tasks into the backlog again; their branches stay.

    is_fault: the problem is likely to last, so a run that was not claimed counts as an attempt of its task, too.
    restarted: those of the runs whose agent or platform was restarted, for which the task is not to blame.
    seen: agent id → the last known problem of its pod. Returns how many of the runs were not over.
    """
    lost = 0
    for task, run in lock_runs(tx, run_ids):
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
    """Cancel runs whose results are not wanted any more."""
    for _task, run in lock_runs(tx, run_ids):
        end_run(tx, run, Outcome.CANCELLED, reason, by=By.PERSON)


def lock_runs(tx: Transaction, run_ids: Sequence[str]) -> list[tuple[Task, Run]]:
    """Lock the runs, their tasks and their agents, in the order of locks. Returns the tasks and runs."""
    of_tasks = tx.session.scalars(select(Run.task_id).where(Run.id.in_(run_ids))).all()
    tasks = {task.id: task for task in tx.lock_all(Task, of_tasks)}
    runs = tx.lock_all(Run, run_ids)
    tx.lock_all(Agent, {run.agent_id for run in runs})
    return [(tasks[run.task_id], run) for run in runs]
