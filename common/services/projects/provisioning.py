"""Database side of the jobs that provision and delete projects. A deletion removes the rows last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import ColumnElement, String, cast, delete, literal, select, update

from common.events.catalogue import ProjectStatusChanged
from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models import (
    AuditSeal,
    Comment,
    CommitVerdict,
    Deployment,
    EventRow,
    Feed,
    FlakyTest,
    GroupMember,
    GroupTest,
    HealthSpan,
    Job,
    LogEntry,
    Project,
    ProjectMember,
    Push,
    Question,
    Receipt,
    Run,
    RunSession,
    Task,
    TaskCheck,
    TaskDependency,
    TaskGroup,
    TestedCommit,
)
from common.models.base import Base
from common.services.activity.events import purge_feed
from common.services.lifecycle import project_states
from common.services.project_settings import held_projects
from common.services.project_settings.project_resources import location_of
from common.services.project_settings.variables import mask_of_project
from common.services.runs import run_end
from common.services.upkeep.purging import purge, was_cut_short
from common.settings import settings
from common.transaction import Transaction, snapshot, transactional
from common.values.delivery.project_location import ProjectLocation
from common.values.delivery.starter_files import STARTERS
from common.values.states import JobState, ProjectState

LONGEST_JOB = timedelta(seconds=catalogue.HARD_LIMIT_SECONDS)
"""A job that was running when its run ended may create a credential for it up to this much later."""

RUNS_AT_ONCE = 100
"""Of how many runs the entries are looked for at once."""


@dataclass(frozen=True)
class ProvisionPlan:
    """What a project needs at the forge and in the runtime.

    import_url None: its repository starts with `files` (name → text; None: a README.md).
    """

    location: ProjectLocation
    description: str
    import_url: str | None
    files: Mapping[str, str] | None
    allows_direct_push: bool


@dataclass(frozen=True)
class DeletionPlan:
    """What to remove at the forge and in the runtime. runs: ids of runs that may still have a credential.

    was_busy: another job of the project was running, and may create anew what is removed.
    """

    location: ProjectLocation
    runs: tuple[str, ...]
    was_busy: bool


@transactional
def begin_provision(tx: Transaction, lease: Lease) -> ProvisionPlan | None:
    """What to create; None if the project is deleted or not being provisioned any more."""
    project = tx.session.get(Project, lease.subject_id)
    if project is None or project.state is not ProjectState.PROVISIONING:
        return None
    files = STARTERS[project.starter].files if project.starter else None
    return ProvisionPlan(
        location_of(project), project.description, project.import_url, files, project.allow_direct_push
    )


@transactional
def begin_protection(tx: Transaction, lease: Lease) -> tuple[ProjectLocation, bool] | None:
    """The project's place, and whether it allows direct pushes; None if it is deleted or not active."""
    project = tx.session.get(Project, lease.subject_id)
    if project is None or project.state is not ProjectState.ACTIVE:
        return None
    return location_of(project), project.allow_direct_push


@transactional
def record_protected(tx: Transaction, lease: Lease) -> None:
    """The forge has the project's branch rules and its webhook."""
    held_projects.note_protected(tx, tx.lock(Project, lease.subject_id))
    tx.finish(lease)


@transactional
def fail_protection(tx: Transaction, project_id: str, reason: str) -> None:
    """The forge refused the project's branch rules. reason: masked."""
    held_projects.note_unprotected(tx, tx.lock(Project, project_id), reason)


@transactional
def renew_webhooks(tx: Transaction) -> None:
    """Have the webhook of each project written anew at the Gitea: its secret comes from the secret key. Safe to repeat.

    Does nothing with the built-in forge, which has none.
    """
    if settings().forge.kind != "gitea":
        return
    for project_id in tx.session.scalars(select(Project.id).where(Project.state_ == ProjectState.ACTIVE)):
        tx.enqueue(catalogue.PROTECT_PROJECT, project_id, project_id=project_id)


@transactional
def record_provisioned(tx: Transaction, lease: Lease, *, default_branch: str, repository_url: str) -> None:
    """The repository and the namespace exist: make the project active, so that its tasks may start."""
    project = tx.lock(Project, lease.subject_id)
    if project.state is ProjectState.PROVISIONING:
        project.default_branch, project.repository_url = default_branch, repository_url
        project_states.activate(tx, project)
    tx.finish(lease)


@transactional
def renew_repository_urls(tx: Transaction) -> None:
    """Let the addresses of the built-in forge begin with the present public URL: of its repositories and of their pull
    requests. Safe to repeat.

    They were stored when it may have had another host or port. Those of a Gitea are what it said.
    """
    if settings().forge.kind != "local":
        return
    base = f"{settings().web.public_url}/git/"
    moved = select(Project.id).where(~Project.repository_url.startswith(base, autoescape=True))
    for project in tx.lock_all(Project, tx.session.scalars(moved)):
        project.repository_url = f"{base}{project.repository_owner}/{project.slug}"
        url = literal(f"{project.repository_url}/pulls/").concat(cast(Task.pr_number, String))
        renewed = update(Task).where(Task.project_id == project.id, Task.pr_url.is_not(None)).values(pr_url=url)
        tx.session.execute(renewed.execution_options(synchronize_session=False))
        tx.record(
            ProjectStatusChanged(
                feed=project.id, project_id=project.id, old_status=project.state_, new_status=project.state_,
                changed=("giteaRepoUrl",),
            )
        )  # fmt: skip


@transactional
def fail_provision(tx: Transaction, project_id: str, reason: str) -> None:
    """Mark the project failed: the forge or the runtime refused, or the job was parked."""
    project = tx.lock(Project, project_id)
    if project.state is ProjectState.PROVISIONING:
        project_states.fail(tx, project, mask_of_project(tx, project.id)(reason))


@transactional
def record_provision_refused(tx: Transaction, lease: Lease, reason: str) -> None:
    fail_provision(lease.subject_id, reason)
    tx.finish(lease)


@transactional
def begin_deletion(tx: Transaction, lease: Lease) -> DeletionPlan | None:
    """End the project's live runs and delete its queued jobs.

    Returns what to remove at the forge and in the runtime; None if the project is already deleted.
    """
    project = tx.session.get(Project, lease.subject_id)
    if project is None:
        return None
    # A run that is just being created becomes visible first: its task is locked until then.
    tx.session.execute(select(Task.id).where(Task.project_id == project.id).order_by(Task.id).with_for_update())
    live = select(Run.id).where(Run.project_id == project.id, Run.live_task_id.is_not(None))
    run_end.abandon_runs(tx, tx.session.scalars(live).all(), "the project is being deleted")
    tx.queue.drop_queued(project.id, except_for=lease, kept=catalogue.CLOSE_RUN)
    closing = (Job.project_id == project.id, Job.kind == catalogue.CLOSE_RUN.name)
    unclosed = select(Job.subject_id).where(*closing, Job.state_ != JobState.DONE)
    has_credential = Run.id.in_(unclosed) | (Run.finished_at >= tx.now() - LONGEST_JOB)
    runs = tx.session.scalars(select(Run.id).where(Run.project_id == project.id, has_credential).order_by(Run.id))
    was_busy = tx.queue.is_project_busy(project.id, except_for=lease, kept=catalogue.CLOSE_RUN)
    return DeletionPlan(location_of(project), tuple(runs.all()), was_busy)


def record_deleted(lease: Lease, *, was_busy: bool = False) -> None:
    """Delete the project's rows. The row of this job stays, without a project. was_busy: see DeletionPlan.

    If another job of the project was running when the removal began, or is at work now, it may have created again what
    was removed, so the deletion runs again first. It also does if the project has more entries of transcripts than one
    call deletes.
    """
    is_short = _purge_past(lease.subject_id)
    _delete_rows(lease, is_short=is_short, was_busy=was_busy)


def _purge_past(project_id: str) -> bool:
    """Delete what there is most of, in small batches. Returns whether the rest is small enough for one transaction."""
    with snapshot() as read:
        now = read.now()
        runs = read.session.scalars(select(Run.id).where(Run.project_id == project_id)).all()
    # With the audit's seals, so that an audit in between misses nothing.
    purge_feed(project_id, now)
    gone = 0
    # By their ids: with a subquery, MariaDB would look through all entries of the runs for each batch.
    for start in range(0, len(runs), RUNS_AT_ONCE):
        gone += purge(LogEntry.id, LogEntry.run_id.in_(runs[start : start + RUNS_AT_ONCE]))
        if was_cut_short(gone):
            return False
    return True


@transactional
def _delete_rows(tx: Transaction, lease: Lease, *, is_short: bool, was_busy: bool) -> None:
    project_id = lease.subject_id
    if was_busy or tx.queue.is_project_busy(project_id, except_for=lease, kept=catalogue.CLOSE_RUN):
        tx.again(lease, after_seconds=1)
        return
    if not is_short:
        tx.again(lease, after_seconds=0)
        return
    tasks = select(Task.id).where(Task.project_id == project_id).scalar_subquery()
    groups = select(TaskGroup.id).where(TaskGroup.project_id == project_id).scalar_subquery()
    runs = select(Run.id).where(Run.project_id == project_id).scalar_subquery()
    conditions: list[tuple[type[Base], ColumnElement[bool]]] = [
        (LogEntry, LogEntry.run_id.in_(runs)),
        (RunSession, RunSession.task_id.in_(tasks)),
        (TaskCheck, TaskCheck.task_id.in_(tasks)),
        (Comment, Comment.task_id.in_(tasks)),
        (Question, Question.task_id.in_(tasks)),
        (TaskDependency, TaskDependency.task_id.in_(tasks)),
        (GroupMember, GroupMember.group_id.in_(groups)),
        (GroupTest, GroupTest.group_id.in_(groups)),
        (HealthSpan, HealthSpan.project_id == project_id),
        (Run, Run.project_id == project_id),
        (Deployment, Deployment.project_id == project_id),
        (TaskGroup, TaskGroup.project_id == project_id),
        (Push, Push.project_id == project_id),
        (CommitVerdict, CommitVerdict.project_id == project_id),
        (TestedCommit, TestedCommit.project_id == project_id),
        (FlakyTest, FlakyTest.project_id == project_id),
        (Receipt, Receipt.project_id == project_id),
        (Task, Task.project_id == project_id),
        (ProjectMember, ProjectMember.project_id == project_id),
        (EventRow, EventRow.feed_id == project_id),
        (AuditSeal, AuditSeal.feed_id == project_id),
        (Project, Project.id == project_id),
    ]
    for model, condition in conditions:
        tx.session.execute(delete(model).where(condition).execution_options(synchronize_session=False))
    tx.queue.leave_project(lease, project_id)
    # Nothing records events of this project any more, so its feed goes, too.
    tx.session.execute(delete(Feed).where(Feed.id == project_id).execution_options(synchronize_session=False))
    tx.finish(replace(lease, project_id=None))
