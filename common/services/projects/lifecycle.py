"""A project's life: the only place that moves a project from one state to another. It is locked."""

from __future__ import annotations

from common import jobs
from common.models.project import Project
from common.states import By, ProjectState
from common.transaction import Transaction


def activate(tx: Transaction, project: Project) -> None:
    """Its repository and namespace are there: its tasks may start."""
    tx.record(project.move_to(ProjectState.ACTIVE, By.PLATFORM))
    tx.enqueue(jobs.SCHEDULE_TASKS, "platform", project_id=None)


def fail(tx: Transaction, project: Project, reason: str) -> None:
    """It could not be set up. reason: masked by the caller; it stands on the project until a person retries."""
    project.error = reason[:2000]
    tx.record(project.move_to(ProjectState.FAILED, By.PLATFORM))


def retry(tx: Transaction, project: Project) -> None:
    """A person has the set-up of a failed project tried again."""
    tx.record(project.move_to(ProjectState.PROVISIONING, By.PERSON))
    project.error = None
    tx.enqueue(jobs.PROVISION_PROJECT, project.id, project_id=project.id)


def begin_deletion(tx: Transaction, project: Project) -> str:
    """Everything of it is to be removed. Returns the id of the job that does it."""
    tx.record(project.move_to(ProjectState.DELETING, By.PERSON))
    return tx.enqueue(jobs.DELETE_PROJECT, project.id, project_id=project.id)
