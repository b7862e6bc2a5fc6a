"""Database side of the job that finds out which lines of proven work no test touches, by running its tests once more.

Nobody waits for it, and it refuses nothing: the verdict is that of the proof, whose run was not measured. A push voids
it, as the check belongs to the commit.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from common.jobs.catalogue import Lease
from common.models.project import Project
from common.models.run import Run
from common.models.task import Task, TaskCheck
from common.services.lifecycle.run_states import newest_claim
from common.services.lifecycle.task_states import record_update
from common.services.proof.verification import COVERAGE, CheckResult, ProofPlan, proof_plan, store_check
from common.transaction import Transaction, transactional
from common.values.states import Phase, TaskState

POLL_SECONDS = 5.0


@dataclass(frozen=True)
class CoveragePlan:
    """Input of `run.coverage`. is_void: nobody needs a result any more, or it is there."""

    proof: ProofPlan
    is_void: bool


@transactional
def begin_coverage(tx: Transaction, lease: Lease) -> CoveragePlan | None:
    """Whose tests to measure; None if the run is gone."""
    run = tx.session.get(Run, lease.subject_id)
    if run is None:
        return None
    task = tx.get(Task, run.task_id)
    project = tx.get(Project, task.project_id)
    known = select(TaskCheck).where(TaskCheck.run_id == run.id, TaskCheck.name == COVERAGE)
    is_wanted = project.coverage == "run" and _is_current(tx, task, run) and tx.find(known) is None
    return CoveragePlan(proof_plan(tx, project, task, run), is_void=not is_wanted)


def _is_current(tx: Transaction, task: Task, run: Run) -> bool:
    """Whether somebody may still look at the run's commit before it lands."""
    if task.head_sha is None or task.head_sha != run.claimed_sha or newest_claim(tx, task.id) is not run:
        return False
    return task.phase is Phase.VERIFYING or task.state in {TaskState.READY_TO_TEST, TaskState.APPROVED}


@transactional
def record_coverage(tx: Transaction, lease: Lease, result: CheckResult | None) -> None:
    """Store the check, or look again later if the tests run. None: there is nothing to store."""
    if result is not None and result.status == "running":
        tx.again(lease, after_seconds=POLL_SECONDS, still_waits=True)
        return
    run = tx.get(Run, lease.subject_id)
    task = tx.lock(Task, run.task_id)
    if result is not None and _is_current(tx, task, run):
        store_check(tx, task, result)
        record_update(tx, task, "checks")
    tx.finish(lease)
