"""Feedback for runs: rejections, refusals, results of a group, comments, messages, notes and answers.

Each is delivered to one run, when it is claimed; messages that are written later reach the run while it works.
A run that is claimed again gets the same feedback. The feedback of a lost run goes to the next one.
"""

from __future__ import annotations

from sqlalchemy import select, update

from common.models.run import Run
from common.models.task import Comment, Question, Task
from common.services.tasks.messages import is_given_at_claim, shown_kind
from common.states import QuestionState
from common.transaction import Transaction
from common.values.claimed_run import Feedback, FeedbackComment


def feedback_of(tx: Transaction, task: Task, run: Run) -> list[Feedback]:
    """Everything not delivered yet, oldest first, and the answers of this round. Marks it as delivered to this run."""
    rows = tx.all(
        select(Comment)
        .where(Comment.task_id == task.id, is_given_at_claim(run))
        .where((Comment.delivered_run_id.is_(None)) | (Comment.delivered_run_id == run.id))
        .order_by(Comment.created_at, Comment.id)
    )
    for row in rows:
        row.delivered_run_id, row.delivered_at = run.id, row.delivered_at or tx.now()
    tops = [row for row in rows if row.parent_id is None]
    given = [
        Feedback(
            shown_kind(top.kind),
            top.body,
            tuple(
                FeedbackComment(row.id, row.body, row.path, row.line)
                for row in rows
                if row.parent_id == top.id or (row is top and row.path is not None)
            ),
        )
        for top in tops
    ]
    return given + _answers(tx, task)


def _answers(tx: Transaction, task: Task) -> list[Feedback]:
    answered = tx.all(
        select(Question)
        .where(Question.task_id == task.id, Question.round == task.round, Question.state == QuestionState.ANSWERED)
        .order_by(Question.responded_at, Question.id)
    )
    return [Feedback("answer", f"You asked: {row.question}\nThe answer: {row.response}") for row in answered]


def give_back(tx: Transaction, run: Run) -> None:
    """Mark the feedback of a lost run as not delivered, so that the next run gets it."""
    tx.session.execute(
        update(Comment)
        .where(Comment.delivered_run_id == run.id)
        .values(delivered_run_id=None, delivered_at=None)
        .execution_options(synchronize_session=False)
    )
