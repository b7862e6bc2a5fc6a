"""Database side of the jobs that prepare a run and close it: its branch, and the credential of its agent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import bindparam, select

from common.database.compiled_statements import Statement
from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models.project import Project
from common.models.run import Run
from common.models.spend import ModelProvider
from common.models.task import Task
from common.secrets.sealing import check_key, seal, unseal
from common.services.lifecycle import task_states
from common.services.lifecycle.run_states import make_claimable
from common.services.lifecycle.task_states import record_update
from common.services.project_settings import held_projects
from common.services.project_settings.project_resources import LOCATION_COLUMNS, location_from, location_of
from common.services.project_settings.variables import mask_of_run, mask_or_sentence
from common.services.runs import run_end
from common.transaction import Transaction, snapshot, transactional
from common.values.delivery.project_location import ProjectLocation
from common.values.states import Outcome, RunState
from common.values.testing.agent_review import Purpose

PREPARE_SECONDS = 30
"""How long an agent waits for its run while the forge does not answer; after that the run is given up."""


@dataclass(frozen=True)
class RunPlan:
    """Input of `run.prepare` and `run.close`. is_overdue: the agent has waited for PREPARE_SECONDS. is_review: the run
    only reads.
    """

    location: ProjectLocation
    run_id: str
    branch: str
    is_overdue: bool = False
    is_review: bool = False


def begin_prepare(lease: Lease) -> RunPlan | None:
    """What to prepare; None if the run is over or already prepared.

    Raises AnotherKey if what the run would say can't be masked.
    """
    # An agent waits: one read, and no lock.
    with snapshot() as read:
        found = read.rows(_PREPARING, run_id=lease.subject_id)
        if not found:
            return None
        count = len(_SEALED_COLUMNS)
        sealed, (branch, created_at, purpose, *location) = found[0][:count], found[0][count:]
        is_overdue = created_at < read.now() - timedelta(seconds=PREPARE_SECONDS)
    check_key(*sealed)
    return RunPlan(location_from(*location), lease.subject_id, branch, is_overdue, purpose == Purpose.REVIEW)


_SEALED_COLUMNS = (
    Run.secrets_sealed, Project.env_sealed, Project.secret_env_sealed,
    select(ModelProvider.key_sealed).where(ModelProvider.key_sealed.is_not(None)).limit(1).scalar_subquery(),
)  # fmt: skip
"""What the mask of a run is made of; of the keys of model providers, one stands for all."""

_PREPARING = Statement(
    lambda: (
        select(*_SEALED_COLUMNS, Task.branch_name, Run.created_at, Run.purpose, *LOCATION_COLUMNS)
        .select_from(Run)
        .join(Task, Task.id == Run.task_id)
        .join(Project, Project.id == Run.project_id)
        .where(Run.id == bindparam("run_id"), Run.state_ == RunState.PREPARING)
    )
)


_AROUND = Statement(
    lambda: (
        select(Project.id, Project.held_until, Task.id, Task.error)
        .select_from(Run)
        .join(Project, Project.id == Run.project_id)
        .join(Task, Task.id == Run.task_id)
        .where(Run.id == bindparam("run_id"))
    )
)
"""What else of a run's preparation may have to be taken back."""


@transactional
def record_prepared(tx: Transaction, lease: Lease, *, username: str, password: str, base_sha: str) -> None:
    """The branch and the credential exist: the agent may claim the run. base_sha: the default branch's head."""
    ((project_id, held_until, task_id, error),) = tx.rows(_AROUND, run_id=lease.subject_id)
    if held_until is not None:
        held_projects.release_project(tx, tx.lock(Project, project_id))
    task = None if error is None else tx.lock(Task, task_id)
    run = tx.lock(Run, lease.subject_id)
    if run.state is RunState.PREPARING and run.secrets_sealed:
        if task is not None:
            task.error = None
            record_update(tx, task, "error")
        secrets = unseal(run.secrets_sealed)
        run.secrets_sealed = seal({**secrets, "username": username, "password": password})
        run.base_sha = base_sha
        make_claimable(tx, run)
    _close_if_over(tx, run)
    tx.finish(lease)


@transactional
def fail_prepare(tx: Transaction, run_id: str, reason: str) -> None:
    """The run can't be prepared because of its task: it is lost, and the attempt counts."""
    run = tx.get(Run, run_id)
    _lose_unprepared(tx, run, tx.lock(Task, run.task_id), reason, counts=True)


@transactional
def record_prepare_refused(tx: Transaction, lease: Lease, reason: str) -> None:
    """Like fail_prepare, and finish the job."""
    fail_prepare(lease.subject_id, reason)
    tx.finish(lease)


@transactional
def record_unprepared(tx: Transaction, lease: Lease, reason: str) -> None:
    """No run of the project can be prepared: end this one, so that its agent is free, and hold the project's tasks."""
    run = tx.get(Run, lease.subject_id)
    project = tx.lock(Project, run.project_id)
    task = tx.lock(Task, run.task_id)
    masked = mask_or_sentence(mask_of_run, tx, run)(reason)
    if _lose_unprepared(tx, run, task, masked, counts=False):
        held_projects.hold_project(tx, project, masked)
    tx.finish(lease)


def _lose_unprepared(tx: Transaction, run: Run, task: Task, reason: str, *, counts: bool) -> bool:
    """Lose a run that could not be prepared. Returns False if its task does not go back. The task is locked.

    The reason stays in the task's error until a run can be prepared.
    """
    run = tx.lock(Run, run.id)
    if run.state is RunState.ENDED:
        _close_if_over(tx, run)
        return False
    reason = mask_or_sentence(mask_of_run, tx, run)(reason)
    run_end.end_run(tx, run, Outcome.LOST, reason)
    if run.is_review:
        return False
    task.error = reason[:2000]
    task_states.requeue(tx, task, reason=reason, counts=counts)
    record_update(tx, task, "error")
    return True


def _close_if_over(tx: Transaction, run: Run) -> None:
    """Have a credential revoked that was made while the run ended: what closed the run may not have seen it."""
    if run.state is RunState.ENDED:
        tx.enqueue(catalogue.CLOSE_RUN, run.id, project_id=run.project_id)


@transactional
def begin_close(tx: Transaction, lease: Lease) -> RunPlan | None:
    """The run whose credential is to be revoked; None if the run is deleted."""
    run = tx.session.get(Run, lease.subject_id)
    if run is None:
        return None
    task, project = tx.get(Task, run.task_id), tx.get(Project, run.project_id)
    return RunPlan(location_of(project), run.id, task.branch_name)


@transactional
def record_closing(tx: Transaction, lease: Lease, *, after_seconds: float) -> None:
    """The credential is revoked. Run the job again later, to remove what is left of it."""
    tx.again(lease, after_seconds=after_seconds)
