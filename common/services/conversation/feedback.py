"""Feedback for runs: rejections, refusals, results of a group, comments, messages, notes and answers.

Each is delivered to one run, when it is claimed, unless a person resolved the comment before; messages that are written
later reach the run while it works. A run that is claimed again gets the same feedback. The feedback of a lost run goes
to the next one, unless the lost run stored a session, which knows it. Changes of the task itself are told otherwise:
edits.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, bindparam, or_, select, union_all, update

from common.database.compiled_statements import Statement
from common.models.run import Run, RunSession
from common.models.task import Comment, Question, Task
from common.services.conversation.messages import EDIT, exchange, is_delivered_at_claim, shown_kind
from common.transaction import Snapshot, Transaction
from common.values.runs.claimed_run import Feedback, FeedbackComment
from common.values.states import Outcome, QuestionState


@dataclass(frozen=True)
class AllFeedback:
    """All feedback on a task, oldest first. earlier: completed runs acted on it. current: the present run has to."""

    earlier: Sequence[Feedback] = ()
    current: Sequence[Feedback] = ()


_ANYTHING = Statement(
    lambda: union_all(
        select(Comment.id).where(Comment.task_id == bindparam("task_id")),
        select(Question.id).where(Question.task_id == bindparam("task_id")),
    ).limit(1)
)
"""Whether anybody has written about the task, which is new in most cases."""


def feedback_of(tx: Transaction, task: Task, run: Run, *, has_session: bool = False) -> list[Feedback]:
    """Everything not delivered yet, oldest first, and the answers of this round. Marks it as delivered to this run.

    has_session: the run goes on with the stored session: what that knows is left out, and what was delivered after it
    was stored, in that run or a later one, is included.
    """
    if not tx.rows(_ANYTHING, task_id=task.id):
        return []
    session = _session_of(tx, task) if has_session else None
    is_new = Comment.delivered_run_id == run.id
    if run.prompt_digest is None:
        # It is claimed for the first time: of another claim, an agent that has the run already takes the token alone.
        is_new |= Comment.delivered_run_id.is_(None)
    if session is not None:
        is_new |= Comment.delivered_run_id.in_(_runs_after(tx, task, session.run))
        is_new |= (Comment.delivered_run_id == session.run.id) & (Comment.delivered_at > session.saved_at)
    of_task = select(Comment).where(Comment.task_id == task.id, is_delivered_at_claim(run), is_new)
    rows = _open(tx.all(of_task.order_by(Comment.created_at, Comment.id)))
    for row in rows:
        row.delivered_run_id, row.delivered_at = run.id, row.delivered_at or tx.now()
    # A remark that was opened again belongs to something that an earlier run has got.
    above = {row.parent_id for row in rows} - {row.id for row in rows} - {None}
    if above:
        rows = sorted([*rows, *tx.all(select(Comment).where(Comment.id.in_(above)))], key=_age)
    answered = [row for row in _answered(tx, task) if row.round == task.round]
    if session is not None:
        asked = tx.session.scalars(select(Question.asked_at).where(Question.run_id == session.run.id)).all()
        answered = [row for row in answered if not session.knows(row, asked)]
    told = [row for row in rows if row.kind != EDIT]  # the prompt has the present text
    return [item for _at, item in [*_of_comments(told), *_of_answers(answered)]]


def all_feedback_of(at: Snapshot | Transaction, task: Task, run: Run) -> AllFeedback:
    """All feedback that the task got before the run was claimed, which knows nothing of its earlier runs."""
    if not at.rows(_ANYTHING, task_id=task.id):
        return AllFeedback()
    completed = select(Run.id).where(Run.task_id == task.id, Run.outcome == Outcome.COMPLETED)
    done = set(at.session.scalars(completed))
    of_task = select(Comment).where(Comment.task_id == task.id, Comment.kind != EDIT, is_delivered_at_claim(run))
    rows = at.all(of_task.order_by(Comment.created_at, Comment.id))
    is_open = {row.id for row in _open([row for row in rows if row.delivered_run_id not in done])}
    is_open |= {row.parent_id for row in rows if row.id in is_open and row.parent_id is not None}
    answered = _answered(at, task)
    earlier = [
        *_of_comments([row for row in rows if row.delivered_run_id in done]),
        *_of_answers([row for row in answered if row.round != task.round]),
    ]
    current = [
        *_of_comments([row for row in rows if row.id in is_open]),
        *_of_answers([row for row in answered if row.round == task.round]),
    ]
    return AllFeedback(
        [item for _at, item in sorted(earlier, key=lambda pair: pair[0])], [item for _at, item in current]
    )


def _open(rows: Sequence[Comment]) -> list[Comment]:
    """Without those that a person resolved before a run got them, but for what open ones belong to."""
    needed = {row.parent_id for row in rows if row.resolved_at is None}
    return [row for row in rows if row.resolved_at is None or row.id in needed]


def _age(row: Comment) -> tuple[datetime, str]:
    return row.created_at, row.id


def _of_comments(rows: Sequence[Comment]) -> list[tuple[datetime, Feedback]]:
    return [
        (
            top.created_at,
            Feedback(
                shown_kind(top.kind),
                top.body,
                tuple(
                    FeedbackComment(row.id, row.body, row.path, row.line, row.start_line, row.side, row.commit_sha)
                    for row in rows
                    if row.parent_id == top.id or (row is top and row.path is not None)
                ),
            ),
        )
        for top in rows
        if top.parent_id is None
    ]


def _of_answers(rows: Sequence[Question]) -> list[tuple[datetime, Feedback]]:
    return [
        (
            row.responded_at or row.asked_at,
            Feedback("answer", exchange(row)),
        )
        for row in rows
    ]


def _answered(at: Snapshot | Transaction, task: Task) -> Sequence[Question]:
    # The answer to a question that did not block is a comment of the kind `message`.
    return at.all(
        select(Question)
        .where(Question.task_id == task.id, Question.state == QuestionState.ANSWERED, Question.is_blocking.is_(True))
        .order_by(Question.responded_at, Question.id)
    )


@dataclass(frozen=True)
class _StoredSession:
    """The run that stored the task's session, and when."""

    run: Run
    saved_at: datetime

    def knows(self, question: Question, asked: Sequence[datetime]) -> bool:
        """Whether the session knows the answer. asked: when the run asked its questions.

        An answer that came before the run was in its prompt. One that came while it worked, before it stored the
        session, was the result of its tool, unless the run ended as waiting and asked nothing afterwards: it had
        stopped waiting by then.
        """
        came_at = question.responded_at or question.asked_at
        if self.run.started_at is not None and came_at <= self.run.started_at:
            return True
        went_on = self.run.outcome != Outcome.WAITING or any(at >= came_at for at in asked)
        return question.run_id == self.run.id and came_at <= self.saved_at and went_on


def _session_of(at: Snapshot | Transaction, task: Task) -> _StoredSession | None:
    query = (
        select(Run, RunSession.saved_at)
        .join(RunSession, RunSession.run_id == Run.id)
        .where(RunSession.task_id == task.id, RunSession.part == 0)
    )
    found = at.session.execute(query).first()
    return None if found is None else _StoredSession(found[0], found[1])


def _runs_after(at: Snapshot | Transaction, task: Task, run: Run) -> Sequence[str]:
    # By the round first: the clock may have been set back since the round before.
    is_later = or_(Run.round > run.round, and_(Run.round == run.round, Run.created_at > run.created_at))
    return at.session.scalars(select(Run.id).where(Run.task_id == task.id, is_later)).all()


def mark_feedback_undelivered(tx: Transaction, run: Run) -> None:
    """Mark the feedback of a lost run as not delivered, so that the next run gets it.

    What was delivered before the run stored the task's session stays delivered: the next run goes on with that.
    """
    is_lost = Comment.delivered_run_id == run.id
    stored = select(RunSession.saved_at).where(
        RunSession.task_id == run.task_id, RunSession.part == 0, RunSession.run_id == run.id
    )
    saved_at = tx.session.execute(stored).scalar_one_or_none()
    if saved_at is not None:
        is_lost &= Comment.delivered_at > saved_at
    tx.session.execute(
        update(Comment)
        .where(is_lost)
        .values(delivered_run_id=None, delivered_at=None)
        .execution_options(synchronize_session=False)
    )
