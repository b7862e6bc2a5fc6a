"""Sets stored times right after the database's clock was set back.

A machine may start with a clock that is an hour ahead, or go on from an image that is a day old. What then waits for a
time of the clock before would wait for as long as it was set back: jobs, agents that are no longer heard of, everything
that is done every few seconds.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Select, Update, or_, select, update

from common.models.agent import Agent
from common.models.delivery import HealthSpan, TaskGroup
from common.models.journal import Mark
from common.models.project import Project
from common.models.run import Run
from common.models.task import Question, Task, TaskCheck
from common.models.webhook import WebhookDelivery
from common.transaction import Transaction
from common.values.states import OVER, GroupState, Outcome, QuestionState
from common.values.testing.agent_review import Purpose

log = structlog.get_logger()

LEAST_STEP = timedelta(seconds=5)
"""Two sweeps at once may read the clock in another order than they write it down."""


def follow_clock(tx: Transaction, last: Mark | None) -> None:
    """Move what lies ahead of the clock back by as much as the clock was. Does nothing if it was not set back.

    last: the mark of the sweep before, which is locked. Times that people or providers named stay as they are.
    """
    now = tx.now()
    step = last.at - now if last is not None else timedelta(0)
    if step < LEAST_STEP:
        return
    log.warning("the database's clock was set back", seconds=round(step.total_seconds(), 1))
    _bring_back_groups(tx)
    _bring_back_questions(tx, step)
    _bring_back_runs(tx)
    tx.queue.bring_back(step)
    for changed in (
        update(Mark).where(Mark.at > now).values(at=now),
        update(Agent).where(Agent.seen_at > now).values(seen_at=now),
        update(Run).where(Run.live_task_id.is_not(None), Run.seen_at > now).values(seen_at=now),
        update(Project).where(Project.held_until > now).values(held_until=now),
        update(HealthSpan).where(HealthSpan.since > now).values(since=now),
        update(HealthSpan).where(HealthSpan.until > now).values(until=now),
        update(WebhookDelivery).where(WebhookDelivery.next_at > now).values(next_at=now),
        *_proofs(now),
    ):
        tx.session.execute(changed.execution_options(synchronize_session=False))


def _bring_back_groups(tx: Transaction) -> None:
    """What groups that are being built count from: how long they have waited for the CI, and tested."""
    now = tx.now().timestamp()
    built = select(TaskGroup.id).where(TaskGroup.state_ == GroupState.MERGING)
    for group in tx.lock_all(TaskGroup, tx.session.scalars(built)):
        build = group.build
        if build.since is not None and build.since > now:
            build = replace(build, since=now)
        if build.statuses is not None and build.statuses.since > now:
            build = replace(build, statuses=replace(build.statuses, since=now))
        group.build = build


def _bring_back_questions(tx: Transaction, step: timedelta) -> None:
    """Open ones that were asked by the clock before: their reminders and deadlines count from then."""
    asked_ahead = (Question.state == QuestionState.PENDING, Question.asked_at > tx.now())
    for question in tx.all(select(Question).where(*asked_ahead).with_for_update()):
        question.asked_at -= step
        question.remind_at = None if question.remind_at is None else question.remind_at - step
        question.deadline_at = None if question.deadline_at is None else question.deadline_at - step


def _bring_back_runs(tx: Transaction) -> None:
    """Have the runs of open tasks created now, in their order, by which is told what a later run has got."""
    ahead = select(Run.id).where(Run.created_at > tx.now(), Run.task_id.in_(_open_tasks()))
    for place, run_id in enumerate(tx.session.scalars(ahead.order_by(Run.created_at, Run.id)).all()):
        created_at = tx.now() + place * timedelta(microseconds=1)
        changed = update(Run).where(Run.id == run_id).values(created_at=created_at)
        tx.session.execute(changed.execution_options(synchronize_session=False))


def _proofs(now: datetime) -> list[Update]:
    """What the proofs of open tasks count from: which reviews are those of a claim, and how long a check has waited.

    Other runs keep these times: what people wrote is told by them.
    """
    is_counted = or_(Run.purpose == Purpose.REVIEW, Run.outcome == Outcome.COMPLETED)
    of_runs = [
        update(Run).where(column > now, is_counted, Run.task_id.in_(_open_tasks())).values({column: now})
        for column in (Run.started_at, Run.finished_at)
    ]
    return [*of_runs, update(TaskCheck).where(TaskCheck.at > now, TaskCheck.task_id.in_(_open_tasks())).values(at=now)]


def _open_tasks() -> Select[str]:
    return select(Task.id).where(Task.state_.not_in(sorted(OVER)))
