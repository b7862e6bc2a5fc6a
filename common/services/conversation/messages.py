"""Messages of people to a task's agent: rows, their order, and which run gets them how.

A message from before a run was claimed belongs to its feedback. The live run fetches later ones one by one. What no run
has acknowledged, by asking for what comes after it, is feedback of the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Select, false, func, or_, select, true

from common.jobs.outbox import actor
from common.models.run import Run, RunSession
from common.models.task import Comment, Question, Task
from common.services.lifecycle.task_states import record_update
from common.transaction import Transaction

MESSAGE = "message"
INTERRUPT = "interrupt"
"""A message that is to stop what the agent is doing. People see it as a message."""
EDIT = "edit"
"""The new text of a task that a person changed while a run worked on it. People see it as a message. A run that is
claimed later is told the present text anyway."""
KINDS = (MESSAGE, INTERRUPT, EDIT)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = timedelta(microseconds=1)


@dataclass(frozen=True)
class PersonMessage:
    """seq: rises with each message of a task. interrupts: it is to stop what the agent is doing."""

    id: str
    seq: int
    text: str
    author: str
    interrupts: bool


def exchange(question: Question) -> str:
    """An answered question as its agent is told of it."""
    return f"You asked: {question.question}\nThe answer: {question.response}"


def add_message(tx: Transaction, task: Task, text: str, *, author: str | None = None, kind: str = MESSAGE) -> Comment:
    """Store a message for the task's agent, and wake the run that waits for one. The task is locked.

    author: a name to show; None: who acts. kind: one of KINDS.
    """
    last = select(func.max(Comment.created_at)).where(Comment.task_id == task.id, Comment.kind.in_(KINDS))
    claimed = select(Run.started_at).where(Run.live_task_id == task.id)
    row = tx.add(
        Comment(
            task_id=task.id, parent_id=None, kind=kind, author=author or actor(), body=text, path=None, line=None,
            # Later than the message before, and than the claim: clocks are coarse, and the order is the cursor.
            created_at=_now_after(tx, last, claimed),
        )
    )  # fmt: skip
    record_update(tx, task, "comments")
    tx.wake(f"messages:{task.id}")
    return row


def time_after_session(tx: Transaction, task_id: str) -> datetime:
    """Now, but later than the task's last claim and its stored session, also if the clock was set back since: these
    times tell what the session knows.
    """
    claimed = select(func.max(Run.started_at)).where(Run.task_id == task_id)
    stored = select(func.max(RunSession.saved_at)).where(RunSession.task_id == task_id)
    return _now_after(tx, claimed, stored)


def _now_after(tx: Transaction, *times: Select[datetime | None]) -> datetime:
    """Now, but later than the times that these queries read."""
    before = [at for query in times if (at := tx.session.execute(query).scalar()) is not None]
    return max([tx.now(), *(at + _STEP for at in before)])


def message_of(row: Comment) -> PersonMessage:
    return PersonMessage(
        row.id, (row.created_at - _EPOCH) // _STEP, row.body, row.author, interrupts=row.kind == INTERRUPT
    )


def shown_kind(kind: str) -> str:
    """The kind of a comment as the API names it."""
    return MESSAGE if kind in KINDS else kind


def is_delivered_at_claim(run: Run) -> ColumnElement[bool]:
    """Query condition on Comment: false for messages that the claimed run fetches while it works.

    It fetches none that an earlier run got. Such a message may have a later time: the clock may have been set back.
    """
    if run.started_at is None:
        return true()
    is_of_other = Comment.delivered_run_id.is_not(None) & (Comment.delivered_run_id != run.id)
    return or_(Comment.kind.not_in(KINDS), Comment.created_at <= run.started_at, is_of_other)


def messages_for(run: Run, after: int) -> Select[Comment]:
    """The messages with a seq greater than `after` that the run, which is claimed, has to fetch, oldest first.

    Those that it was sent before are among them: the answer may have been lost. None for a review: people write to who
    works on the task.
    """
    is_free = or_(Comment.delivered_run_id.is_(None), Comment.delivered_run_id == run.id)
    return _of_run(run).where(Comment.created_at > _EPOCH + after * _STEP, is_free)


def acknowledged_by(run: Run, after: int) -> Select[Comment]:
    """The messages up to the seq `after` that the run has fetched, as it says by it, and that are not marked so yet."""
    return _of_run(run).where(Comment.created_at <= _EPOCH + after * _STEP, Comment.delivered_run_id.is_(None))


def _of_run(run: Run) -> Select[Comment]:
    return (
        select(Comment)
        .where(Comment.task_id == run.task_id, Comment.kind.in_(KINDS))
        .where(Comment.created_at > (run.started_at or _EPOCH))
        .where(false() if run.is_review else true())
        .order_by(Comment.created_at, Comment.id)
    )


def deliver(tx: Transaction, run: Run, rows: Sequence[Comment]) -> None:
    """Mark the messages as delivered to the run."""
    at = time_after_session(tx, run.task_id)
    for row in rows:
        row.delivered_run_id, row.delivered_at = run.id, at
