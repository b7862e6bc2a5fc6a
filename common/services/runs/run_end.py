"""Ends runs, and handles the tasks of runs that were lost.

Callers of `end_run` hold the task's lock and change the task themselves.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from common.models.agent import Agent
from common.models.project import Project
from common.models.run import Run
from common.models.task import Task
from common.services.conversation.feedback import mark_feedback_undelivered
from common.services.lifecycle import run_states
from common.services.lifecycle.task_states import fail, park, record_update, requeue, withdraw_questions
from common.services.project_settings.variables import mask_of_run, mask_or_sentence
from common.services.spend.model_tokens import reached_limit
from common.settings import settings
from common.transaction import Transaction
from common.values.runs.parking import Parked
from common.values.states import By, Outcome, Phase, RunState, TaskState

MOST_SPREAD = timedelta(seconds=15)
"""Within this time after the end of a limit its tasks go on, one after the other."""


def live_run(tx: Transaction, task_id: str) -> Run | None:
    """The task's live run, locked; None if it has none."""
    found = tx.find(select(Run).where(Run.live_task_id == task_id))
    return None if found is None else tx.lock(Run, found.id)


def end_review(tx: Transaction, task_id: str, reason: str) -> None:
    """End the task's review, if one is live: its proof has ended. The task is locked."""
    run = live_run(tx, task_id)
    if run is not None and run.is_review:
        end_run(tx, run, Outcome.CANCELLED, reason)


def end_run(tx: Transaction, run: Run, outcome: Outcome, reason: str | None, *, by: By = By.PLATFORM) -> None:
    """End the run and free its agent. Does nothing if the run is over. reason: masked here."""
    if run.state is not RunState.ENDED:
        task = tx.get(Task, run.task_id)
        if task.phase is Phase.HELD:
            # What its agent asked after a person had taken the task over: nobody waits for the answer.
            changed = ["questions"] if withdraw_questions(tx, task) else []
            if run.state is RunState.RUNNING:
                changed.append("runs")  # the holder may hand the task back from now on
            if changed:
                record_update(tx, task, *changed)
        masked = mask_or_sentence(mask_of_run, tx, run)(reason) if reason else reason
        run_states.end(tx, run, outcome, masked, by=by)


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

    A review concerns its task in no way: the proof has it done once more.
    is_fault: the problem is likely to last, so a run that was not claimed counts as an attempt of its task, too.
    restarted: those of the runs whose agent or platform was restarted, for which the task is not to blame. Nor is it
    for a run that was claimed and that no heartbeat named.
    seen: agent id → the last known problem of its pod. Returns how many of the runs were not over.
    """
    lost = 0
    for task, run in lock_runs(tx, run_ids):
        if run.state is RunState.ENDED:
            continue
        was_at_work = run.state is RunState.RUNNING
        last = (seen or {}).get(run.agent_id)
        why = mask_or_sentence(mask_of_run, tx, run)(f"{reason}; last seen: {last}" if last else reason)
        end_run(tx, run, Outcome.LOST, why if is_fault or was_at_work else "its agent did not claim it")
        lost += 1
        if run.is_review:
            continue
        mark_feedback_undelivered(tx, run)
        if park_if_limited(tx, task, run):
            continue
        # The answer to its claim may not have reached the agent, as when it was told to stop at that moment.
        is_loss = was_at_work and not is_fault and (run.id in restarted or not run.is_acknowledged)
        requeue(tx, task, reason=why, counts=is_fault or (was_at_work and not is_loss), is_loss=is_loss)
    return lost


def park_if_limited(tx: Transaction, task: Task, run: Run) -> bool:
    """Park the task if the run, which has ended without a result, was refused by the provider of its models.

    Returns whether that was why. No attempt is counted. A task that waits for a person, or that a person holds, stays
    as it is: their answer queues it.
    """
    if run.limited_until is None or not settings().models.parks_on_limits:
        return False
    mark_feedback_undelivered(tx, run)
    if task.state is TaskState.IN_PROGRESS and task.phase is not Phase.HELD:
        reason = f"The provider of models takes no calls for now. {run.limit_reason or ''}".strip()
        park(tx, task, Parked.LIMIT, reason, until=_spread(task.id, run.limited_until, tx.now()))
    else:
        requeue(tx, task, reason=None, counts=False)
    return True


def fail_at_limit(tx: Transaction, task: Task, run: Run) -> bool:
    """Fail the run, which was cut short, and its task if the run has reached one of its limits. Returns whether.

    To its agent, the gateway's refusal is a fault of the program. Another run would spend the whole limit again.
    """
    reason = reached_limit(run.usage, {**tx.get(Project, task.project_id).limits, **task.limits})
    if reason is None:
        return False
    run.outcome, run.reason = Outcome.FAILED, reason
    fail(tx, task, reason)
    return True


def _spread(task_id: str, until: datetime, now: datetime) -> datetime:
    """A time soon after `until`, another one for each task: those that wait for the same limit do not go on at once."""
    share = zlib.crc32(task_id.encode()) / 2**32
    return until + share * min(MOST_SPREAD, max(timedelta(0), (until - now) / 10))


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
