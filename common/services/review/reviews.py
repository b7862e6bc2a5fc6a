"""Reviews of a task's change: a person collects comments in a draft, then submits them together with a verdict. What
was said is resolved once it is settled.

A draft is one person's on one task: nobody else sees it, and its changes are told to that person's sockets alone.
Approving and rejecting follow the rules of `approve_task` and `reject_task`; a mere comment changes no state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Select, delete, select

from common.errors import Conflict, Invalid, NotFound, Unauthenticated
from common.events.catalogue import TaskReviewed
from common.jobs.outbox import actor
from common.models.account import User
from common.models.task import Comment, PendingComment, Task
from common.services.lifecycle.task_states import record_update
from common.services.requests.access import Caller
from common.services.tasks.tasks import NewComment, add_comment, add_feedback, approve_task, lock_task, reject_task
from common.transaction import Transaction, snapshot, transactional
from common.values.states import Role

MOST_PENDING = 100
"""Comments of one draft."""


class Verdict(StrEnum):
    COMMENT = "comment"
    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True)
class NewReview:
    """commit_sha: the reviewed commit; an approval or rejection is a Conflict if the task is at another one by now."""

    verdict: str
    body: str = ""
    commit_sha: str | None = None


def read_review(task_id: str, *, by: Caller) -> Sequence[PendingComment]:
    """The comments of the caller's draft, in the order in which they were written."""
    with snapshot() as read:
        task = read.get(Task, task_id)
        by.require_in(read, None if task is None else task.project_id, Role.MEMBER)
        return read.all(_draft(task_id, by))


@transactional
def add_to_review(tx: Transaction, task_id: str, new: NewComment, *, by: Caller) -> PendingComment:
    """Add a comment to the caller's draft, which begins with it. Conflict if it holds MOST_PENDING already."""
    task = lock_task(tx, task_id, by, Role.MEMBER)
    if len(tx.all(_draft(task_id, by))) >= MOST_PENDING:
        raise Conflict(f"the review of task {task_id} has {MOST_PENDING} comments; submit it first", field="comments")
    if tx.session.get(User, by.user_id) is None:
        raise Unauthenticated  # deleted since this request began
    _tell(tx, task, by)
    return tx.add(
        PendingComment(
            task_id=task_id, user_id=by.user_id, body=new.body, path=new.path, line=new.line,
            start_line=None if new.start_line == new.line else new.start_line, side=new.shown_side,
            commit_sha=None if new.path is None else new.commit_sha or task.head_sha, created_at=tx.now(),
            updated_at=tx.now(),
        )
    )  # fmt: skip


@transactional
def change_in_review(tx: Transaction, task_id: str, comment_id: str, body: str, *, by: Caller) -> PendingComment:
    """Change the text of a comment of the caller's draft. NotFound unless it is there. Safe to repeat."""
    task = lock_task(tx, task_id, by, Role.MEMBER)
    row = _pending(tx, task_id, comment_id, by)
    if row is None:
        raise NotFound(f"pending comment {comment_id}")
    row.body, row.updated_at = body, tx.now()
    _tell(tx, task, by)
    return row


@transactional
def remove_from_review(tx: Transaction, task_id: str, comment_id: str, *, by: Caller) -> None:
    """Remove a comment from the caller's draft. NotFound unless it is there."""
    task = lock_task(tx, task_id, by, Role.MEMBER)
    row = _pending(tx, task_id, comment_id, by)
    if row is None:
        raise NotFound(f"pending comment {comment_id}")
    tx.session.delete(row)
    _tell(tx, task, by)


@transactional
def discard_review(tx: Transaction, task_id: str, *, by: Caller) -> None:
    """Throw the caller's draft away. Safe to repeat."""
    _clear(tx, lock_task(tx, task_id, by, Role.MEMBER), by)


@transactional
def submit_review(tx: Transaction, task_id: str, review: NewReview, *, by: Caller) -> Task:
    """Make the caller's draft visible to all, with a verdict, and end the draft. The agent's next run gets it.

    Invalid (body) for a rejection without a reason, and for a comment that says nothing at all. For `approve` and
    `reject` see approve_task and reject_task; nothing is written if they refuse.
    """
    verdict = Verdict(review.verdict)
    task = lock_task(tx, task_id, by, Role.MEMBER if verdict is Verdict.COMMENT else Role.MAINTAINER)
    said = review.body.strip()
    pending = [_comment_of(row) for row in tx.all(_draft(task_id, by))]
    if verdict is Verdict.REJECT:
        if not said:
            raise Invalid("body", "Required, as the reason of a rejection")
        if review.commit_sha is not None and review.commit_sha != task.head_sha:
            raise Conflict(f"task {task.id} is at {task.head_sha} now; review that commit", field="commitSha")
        reject_task(task_id, reason=said, comments=pending, by=by)
    else:
        if verdict is Verdict.APPROVE:
            approve_task(task_id, commit_sha=review.commit_sha, by=by)
        elif not said and not pending:
            raise Invalid("body", "Required, as there are no comments on lines")
        _publish(tx, task, said, pending)
    _clear(tx, task, by)
    tx.record(
        TaskReviewed(
            feed=task.project_id, subject_task_id=task.id, task_id=task.id, verdict=verdict, comments=len(pending)
        )
    )
    return task


@transactional
def resolve_comment(tx: Transaction, task_id: str, comment_id: str, is_resolved: bool, *, by: Caller) -> Comment:
    """Mark a comment of a person or a reviewer as settled, or open it again. Safe to repeat.

    One that no run has received is given to none while it is resolved. NotFound unless it is the task's. Conflict for
    what is no comment, such as a rejection.
    """
    task = lock_task(tx, task_id, by, Role.MEMBER)
    row = tx.find(select(Comment).where(Comment.task_id == task.id, Comment.id == comment_id))
    if row is None:
        raise NotFound(f"comment {comment_id}")
    if row.kind != "comment":
        raise Conflict(f"{row.kind} {row.id} is no comment; only comments can be resolved")
    if is_resolved != (row.resolved_at is not None):
        row.resolved_by, row.resolved_at = (actor(), tx.now()) if is_resolved else (None, None)
        record_update(tx, task, "comments")
    return row


def _publish(tx: Transaction, task: Task, said: str, pending: Sequence[NewComment]) -> None:
    """Store the comments: below what was said in general, or each for itself if that is nothing."""
    if said:
        add_feedback(tx, task, "comment", said, pending)
    else:
        for comment in pending:
            add_comment(tx, task, "comment", comment, parent_id=None)
    if said or pending:
        record_update(tx, task, "comments")


def _comment_of(row: PendingComment) -> NewComment:
    return NewComment(row.body, row.path, row.line, row.start_line, row.side, row.commit_sha)


def _draft(task_id: str, by: Caller) -> Select[PendingComment]:
    own = select(PendingComment).where(PendingComment.task_id == task_id, PendingComment.user_id == by.user_id)
    return own.order_by(PendingComment.created_at, PendingComment.id)


def _pending(tx: Transaction, task_id: str, comment_id: str, by: Caller) -> PendingComment | None:
    return tx.find(_draft(task_id, by).where(PendingComment.id == comment_id))


def _clear(tx: Transaction, task: Task, by: Caller) -> None:
    own = PendingComment.user_id == by.user_id
    tx.session.execute(delete(PendingComment).where(PendingComment.task_id == task.id, own))
    _tell(tx, task, by)


def _tell(tx: Transaction, task: Task, by: Caller) -> None:
    """Their other windows read the draft again."""
    tx.notify_person(by.user_id, "review:draft_changed", {"taskId": task.id, "projectId": task.project_id})
