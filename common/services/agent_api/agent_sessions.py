"""The stored sessions of agents' CLIs, with which the next run of a task goes on."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, exists, func, select

from common.errors import NotFound
from common.models.run import Run, RunSession
from common.models.task import Comment, Question, Task
from common.services.agent_api.agent_api import RunPrincipal, lock_live_run
from common.services.upkeep.purging import purge
from common.transaction import Transaction, snapshot, transactional
from common.values.states import OVER

PART_BYTES = 2**20
AT_ONCE = 5
"""Parts of sessions that a purge looks for at once; those of their tasks go with them, up to 16 MiB each."""


@transactional
def save_session(tx: Transaction, run_id: str, archive: bytes) -> None:
    """Store the agent CLI's session for the next run of the task. Replaces the previous one. A review keeps none."""
    task, run = lock_live_run(tx, run_id)
    if run.is_review:
        return
    tx.session.execute(delete(RunSession).where(RunSession.task_id == task.id))
    saved_at = _time_after_what_it_knows(tx, run)
    for part, start in enumerate(range(0, max(1, len(archive)), PART_BYTES)):
        piece = archive[start : start + PART_BYTES]
        tx.add(
            RunSession(
                task_id=task.id, part=part, run_id=run.id, driver=run.driver, archive=piece, saved_at=saved_at
            )
        )  # fmt: skip


def _time_after_what_it_knows(tx: Transaction, run: Run) -> datetime:
    """Now, but not before what the run was told, also if the clock was set back since."""
    queries = (
        select(func.max(Question.responded_at)).where(Question.task_id == run.task_id),
        select(func.max(Comment.delivered_at)).where(
            Comment.task_id == run.task_id, Comment.delivered_run_id == run.id
        ),
    )
    times = [at for query in queries if (at := tx.session.execute(query).scalar()) is not None]
    return max([tx.now(), *times])


def read_session(run: RunPrincipal) -> bytes:
    """The stored session of the run's task. NotFound if it has none."""
    with snapshot() as read:
        parts = read.all(select(RunSession).where(RunSession.task_id == run.task_id).order_by(RunSession.part))
    if not parts:
        raise NotFound(f"session of task {run.task_id}")
    return b"".join(part.archive for part in parts)


def purge_sessions() -> int:
    """Delete the stored sessions of tasks that are in production or cancelled, which no run will resume.

    Returns how many parts. Safe to repeat.
    """
    is_over = exists().where(Task.id == RunSession.task_id, Task.state_.in_(sorted(OVER)))
    return purge(RunSession.task_id, is_over, at_once=AT_ONCE)
