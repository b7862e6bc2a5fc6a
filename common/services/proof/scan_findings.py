"""What the scans of a task's proof found, and which of it a person lets go."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from common.errors import Conflict, Invalid
from common.models.task import Task, TaskCheck
from common.services.lifecycle import task_states
from common.services.proof.test_review import MOST_KEPT, prove_again
from common.services.requests.access import Caller
from common.services.tasks.tasks import lock_task
from common.transaction import Transaction, transactional
from common.values.states import Role
from common.values.testing.scans import FOUND, SCANS, names_in


@transactional
def accept_findings(tx: Transaction, task_id: str, names: Sequence[str], *, by: Caller) -> Task:
    """Let these findings go, for every proof of the task. Safe to repeat.

    If no other finding of the scan is left, the refused commit is proven again at once: the refusal does not count, and
    a run that was to take them out ends. Invalid (`names`) for what its newest scans did not name. Conflict if they
    named nothing.
    """
    task = lock_task(tx, task_id, by, Role.MAINTAINER)
    checks = _newest(tx, task)
    found = {check.id: set(names_in(check.log)) for check in checks if check.code in FOUND}
    known = set(task.accepted_findings)
    if known.issuperset(names) and not found:
        return task
    if not found:
        raise Conflict(f"the newest proof of task {task.id} names no findings")
    if strange := sorted(set(names) - set().union(*found.values()) - known):
        raise Invalid("names", f"{strange[0]} is not among the findings of the newest proof")
    if len(known | set(names)) > MOST_KEPT:
        raise Conflict(f"at most {MOST_KEPT} findings can be let go by name; set the project's scans to warn")
    if not known.issuperset(names):
        task.accepted_findings = sorted(known | set(names))
        task.updated_at = tx.now()
        task_states.record_update(tx, task, "accepted_findings")
    for check in checks:
        if check.status == "failed" and found.get(check.id, {""}) <= set(task.accepted_findings):
            prove_again(tx, task, check, "a person let the findings go")
    return task


def _newest(tx: Transaction, task: Task) -> Sequence[TaskCheck]:
    """The scans of the newest run that has any."""
    query = select(TaskCheck).where(TaskCheck.task_id == task.id, TaskCheck.name.in_(SCANS))
    newest = tx.find(query.order_by(TaskCheck.at.desc(), TaskCheck.id.desc()))
    if newest is None:
        return ()
    return tx.all(query.where(TaskCheck.run_id == newest.run_id))
