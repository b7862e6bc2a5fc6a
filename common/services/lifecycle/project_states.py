"""State changes of projects. Only this module changes a project's state; callers hold the project's lock."""

from __future__ import annotations

from common.errors import Conflict
from common.jobs import catalogue
from common.models.project import Project
from common.transaction import Transaction
from common.values.states import By, ProjectState


def activate(tx: Transaction, project: Project) -> None:
    """The repository and the namespace exist: the project's tasks may start."""
    tx.record(project.move_to(ProjectState.ACTIVE, By.PLATFORM))
    tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)


def fail(tx: Transaction, project: Project, reason: str) -> None:
    """Provisioning failed. reason: masked by the caller; stays in the project's error until a person retries."""
    project.error = reason[:2000]
    tx.record(project.move_to(ProjectState.FAILED, By.PLATFORM))


def retry(tx: Transaction, project: Project) -> None:
    """Try the provisioning of a failed project again."""
    tx.record(project.move_to(ProjectState.PROVISIONING, By.PERSON))
    project.error = None
    tx.enqueue(catalogue.PROVISION_PROJECT, project.id, project_id=project.id)


def begin_deletion(tx: Transaction, project: Project) -> str:
    """Start the removal of the project and everything that belongs to it. Returns the id of the job."""
    tx.record(project.move_to(ProjectState.DELETING, By.PERSON))
    return tx.enqueue(catalogue.DELETE_PROJECT, project.id, project_id=project.id)


def check_not_being_deleted(project: Project) -> None:
    """Conflict if the project is being deleted: nothing may begin that its removal would have to end."""
    if project.state is ProjectState.DELETING:
        raise Conflict(f"project {project.id} is deleting")
