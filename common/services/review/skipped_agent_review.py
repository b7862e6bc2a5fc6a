"""A person goes on with a proven commit without the review by another agent that its project asks for."""

from __future__ import annotations

from sqlalchemy import select

from common.errors import Conflict
from common.events.catalogue import TaskReviewOverruled
from common.jobs import catalogue
from common.jobs.outbox import actor
from common.models.run import Run
from common.models.task import Task, TaskCheck
from common.services.lifecycle.run_states import newest_claim
from common.services.lifecycle.task_states import record_update
from common.services.proof.test_review import prove_again
from common.services.proof.verification import store_check
from common.services.requests.access import Caller
from common.services.review import agent_review
from common.services.tasks.tasks import lock_task, require_approver
from common.transaction import Transaction, transactional
from common.values.states import Phase, Role
from common.values.testing.agent_review import AGENT_REVIEW, OVERRULED


@transactional
def overrule_review(tx: Transaction, task_id: str, reason: str, *, by: Caller) -> Task:
    """Go on with the newest claimed commit without its review, and prove it again if the review has stopped it.

    A refusal by the review does not count, and a run that was to do what it asks for ends. A review that waits for an
    agent or is under way ends. It concerns this claim alone: what is pushed later is reviewed.
    Forbidden for those who may not approve the task. Conflict if there is no such review (any more), it has passed, a
    person overruled it before, or the task has gone on since.
    """
    task = lock_task(tx, task_id, by, Role.MAINTAINER)
    require_approver(tx, task, by)
    work = newest_claim(tx, task.id)
    check = None if work is None else _check_of(tx, work)
    if work is None or check is None or work.claimed_sha is None:
        raise Conflict(f"task {task.id} has no review of its newest commit; there is nothing to overrule")
    if check.code == OVERRULED:
        raise Conflict(f"{work.overruled_by} overruled the review of task {task.id} before")
    if check.status not in {"failed", "running"}:
        raise Conflict(f"the review of task {task.id} has {check.status}; there is nothing to overrule")
    # Before the check says otherwise: its code tells whether the work was refused.
    is_verifying = task.phase is Phase.VERIFYING
    if not is_verifying and not prove_again(tx, task, check, f"{actor()} overruled the review"):
        raise Conflict(f"task {task.id} has gone on since its review; there is nothing to overrule")
    work.overruled_by, work.overruled_reason, work.overruled_at = actor(), reason, tx.now()
    task.updated_at = tx.now()
    store_check(tx, task, agent_review.overruled(work))
    tx.record(
        TaskReviewOverruled(
            feed=task.project_id, subject_task_id=task.id, task_id=task.id, commit_sha=work.claimed_sha, reason=reason
        )
    )
    record_update(tx, task, "checks")
    tx.enqueue(catalogue.VERIFY_RUN, work.id, project_id=task.project_id)
    return task


def _check_of(tx: Transaction, work: Run) -> TaskCheck | None:
    return tx.find(select(TaskCheck).where(TaskCheck.run_id == work.id, TaskCheck.name == AGENT_REVIEW))
