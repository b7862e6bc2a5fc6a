"""Publishing a task's proven commit: its pull request and its preview, and their clean-up when the task is over."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models.delivery import Deployment
from common.models.project import Project
from common.models.task import Task
from common.services.deployment import deployments
from common.services.lifecycle import blocked_by_cancelled, group_states
from common.services.lifecycle import task_states as tasks_lifecycle
from common.services.lifecycle.run_states import newest_claim
from common.services.lifecycle.task_states import record_update
from common.services.project_settings.project_resources import app_of, location_of
from common.services.project_settings.variables import mask_of_project
from common.services.proof.verification import CheckResult, refuse, store_check
from common.transaction import Transaction, transactional
from common.values.delivery.app import MACHINE, App
from common.values.delivery.project_location import ProjectLocation
from common.values.names import preview_app
from common.values.states import DeploymentState, Environment, Phase, TaskState

NEVER_RAN = frozenset(
    {
        "nothing_to_run", "quota", "no_room", "not_started", "image", "config", "checkout_failed", "given_up",
        "service_missing", "service_failed", MACHINE,
    }
)  # fmt: skip
"""Error codes of a preview whose program never ran: there is nothing to run, or the runtime could not start it; or of
one for which the machine is to blame.

The task's work is not at fault: its proof stands, and a person tests it without a preview.
"""


@dataclass(frozen=True)
class PublishPlan:
    location: ProjectLocation
    task_id: str
    branch: str
    title: str
    body: str
    head_sha: str


@dataclass(frozen=True)
class CleanUpPlan:
    """branch: whose pull request to close; None: there is none. pr_number None: it may have one, of unknown number."""

    app: App
    location: ProjectLocation
    branch: str | None
    pr_number: int | None


@transactional
def begin_publish(tx: Transaction, lease: Lease) -> PublishPlan | None:
    """What to publish; None if the task is not at a proven commit any more.

    If it was cancelled, its clean-up runs again: an earlier try may have opened a pull request and not heard of it.
    """
    task = tx.session.get(Task, lease.subject_id)
    if task is not None and task.state is TaskState.CANCELLED:
        tx.enqueue(catalogue.CLEAN_UP_TASK, task.id, project_id=task.project_id)
    if task is None or task.phase is not Phase.VERIFYING or task.head_sha is None:
        return None
    newest = newest_claim(tx, task.id)
    if newest is None or newest.claimed_sha != task.head_sha:
        return None
    body = "\n\n".join(part for part in (newest.summary, task.description, f"Task: {task.id}") if part)
    return PublishPlan(
        location_of(tx.get(Project, task.project_id)), task.id, task.branch_name, task.title, body, task.head_sha
    )


@transactional
def record_published(tx: Transaction, lease: Lease, *, head_sha: str, number: int, url: str) -> None:
    """Store the open pull request and start a preview of the proven commit.

    The task is left alone if it moved on from head_sha. If it was cancelled meanwhile, its pull request is closed.
    """
    task = tx.lock(Task, lease.subject_id)
    if task.phase is Phase.VERIFYING and task.head_sha == head_sha:
        _store_pull(tx, task, number, url)
        deployments.start_preview(tx, task, tx.get(Project, task.project_id))
    elif task.state is TaskState.CANCELLED:
        # Its clean-up may have come before the pull request was opened.
        _store_pull(tx, task, number, url)
        tx.enqueue(catalogue.CLEAN_UP_TASK, task.id, project_id=task.project_id)
    tx.finish(lease)


def _store_pull(tx: Transaction, task: Task, number: int, url: str) -> None:
    task.pr_number, task.pr_url, task.updated_at = number, url, tx.now()
    record_update(tx, task, "pr_number", "pr_url")


@transactional
def give_up_publish(tx: Transaction, task_id: str, reason: str) -> None:
    """The forge refused the pull request: the task fails with the reason, which is masked here."""
    task = tx.lock(Task, task_id)
    if task.phase is Phase.VERIFYING:
        masked = mask_of_project(tx, task.project_id)(reason)
        tasks_lifecycle.fail(tx, task, f"its pull request could not be opened: {masked}"[:2000])


@transactional
def record_publish_refused(tx: Transaction, lease: Lease, reason: str) -> None:
    give_up_publish(lease.subject_id, reason)
    tx.finish(lease)


def preview_ended(tx: Transaction, task: Task, deployment: Deployment) -> None:
    """The preview's deployment completed or failed: the task becomes ready to test, or goes back to its agent.

    The task is locked. If the preview's program never ran (NEVER_RAN), the task becomes ready without a preview. If it
    failed by settings that were changed meanwhile, it begins anew. Nothing happens if the deployment's commit is not
    the proven one any more.
    """
    if task.phase is not Phase.VERIFYING or task.head_sha != deployment.commit_sha:
        return
    project = tx.get(Project, task.project_id)
    if deployment.state is DeploymentState.FAILED and deployments.has_other_settings(deployment, project):
        deployments.start_preview(tx, task, project)
        return
    if deployment.state is DeploymentState.COMPLETED:
        task.preview_url = deployment.url
        store_check(tx, task, CheckResult("preview", "passed", f"The preview runs at {deployment.url}"))
        tx.enqueue(catalogue.TAKE_PICTURES, task.id, project_id=task.project_id)
    elif deployment.error_code in NEVER_RAN:
        task.preview_url = None
        store_check(tx, task, CheckResult("preview", "skipped", deployment.error or "There is nothing to run."))
    else:
        failed = CheckResult(
            "preview", "failed", deployment.error or "The preview does not run.", code="preview_failed"
        )
        store_check(tx, task, failed)
        refuse(tx, task, failed)
        return
    tasks_lifecycle.make_ready(tx, task)


@transactional
def begin_clean_up(tx: Transaction, lease: Lease) -> CleanUpPlan | None:
    """What to remove of a task that is cancelled or in production; None in any other state.

    Tasks that wait for a cancelled one say so from then on.
    """
    task = tx.session.get(Task, lease.subject_id)
    if task is None or task.state not in {TaskState.CANCELLED, TaskState.PRODUCTION}:
        return None
    if task.state is TaskState.CANCELLED:
        blocked_by_cancelled.mark_tasks_blocked_by(tx, task.id)
    # Without a proven commit nothing was ever published.
    is_published = task.state is TaskState.CANCELLED and (task.pr_number is not None or task.head_sha is not None)
    location = location_of(tx.get(Project, task.project_id))
    branch = task.branch_name if is_published else None
    return CleanUpPlan(app_of(location, preview_app(task.id)), location, branch, task.pr_number)


@transactional
def record_preview_deleted(tx: Transaction, lease: Lease) -> None:
    """The task's preview is deleted. The job goes on. Safe to repeat."""
    task = tx.lock(Task, lease.subject_id)
    previews = select(Deployment.id).where(
        Deployment.task_id == task.id,
        Deployment.environment_ == Environment.PREVIEW,
        Deployment.active_key.is_not(None) | Deployment.live_key.is_not(None),
    )
    for deployment in tx.lock_all(Deployment, tx.session.scalars(previews).all()):
        group_states.supersede_deployment(tx, deployment)
    forget_preview(tx, task)
    tx.hold(lease)


def forget_preview(tx: Transaction, task: Task) -> None:
    """Remove the link to a preview that was deleted. The task is locked. Safe to repeat."""
    if task.preview_url is not None:
        task.preview_url = None
        record_update(tx, task, "preview_url")
