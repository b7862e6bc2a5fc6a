"""A person goes on without a review by another agent: what is proven again, and what it is too late for."""

from __future__ import annotations

import json

import pytest

from common.errors import Conflict, Forbidden
from common.jobs.outbox import acting
from common.models import EventRow, Project, Run, Task
from common.services.review.skipped_agent_review import overrule_review
from common.transaction import Transaction, transactional
from tests.workers.jobs.agent_reviews import CHANGES, ReviewedTask
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

WHY = "The greeting is as agreed"


def overrule(about: ReviewedTask, why: str = WHY) -> None:
    with acting("max"):
        overrule_review(about.task.id, why, by=about.platform.max)


def test_a_refusal_by_a_review_is_overruled_and_the_commit_goes_on(platform: Platform) -> None:
    about = ReviewedTask(platform, "blocking")
    about.review(CHANGES)
    about.until(lambda: platform.runs(about.task)[-1].state == "ready")
    again = platform.claim()
    assert again.task.id == about.task.id

    overrule(about)

    assert about.state == ("in_progress", "verifying")
    assert (about.now.round, about.now.refusals) == (1, 0)
    assert platform.get(Run, again.run.id).outcome == "cancelled"
    about.settle()
    assert about.state == ("ready_to_test", None)
    assert about.verdict == ("passed", "review_overruled")
    assert about.check.message == f"max went on without this review: {WHY}"
    assert len(about.reviews) == 1
    (event,) = platform.all(EventRow, EventRow.name == "task:review_overruled")
    said = {"taskId": about.task.id, "commitSha": about.sha, "reason": WHY}
    assert (event.actor, json.loads(event.data)["data"]) == ("max", said)
    work = platform.get(Run, about.work.run.id)
    assert (work.overruled_by, work.overruled_reason) == ("max", WHY)
    with pytest.raises(Conflict, match=r"overruled the review of task .* before"):
        overrule(about)


def test_who_may_not_approve_may_not_overrule(platform: Platform) -> None:
    about = ReviewedTask(platform, "blocking")
    about.review(CHANGES)
    _written_by(platform.max.user_id, about.task.id)
    with pytest.raises(Forbidden, match="ask another maintainer"):
        overrule(about)


@transactional
def _written_by(tx: Transaction, user_id: str, task_id: str) -> None:
    task = tx.get(Task, task_id)
    task.created_by_id = user_id
    tx.get(Project, task.project_id).separate_approver = True
