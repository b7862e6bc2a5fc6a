"""Handles webhooks of the forge: they make the platform read the repository soon.

Of the payload, only the pusher is used, which is signed and known from nowhere else. If a delivery is lost, the pusher
stays unknown, but the sweep still finds that the branch moved.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from common.models.project import Project
from common.services.changes.pushes import NewPush, note_push_at_forge
from common.services.proof.verification import check_statuses_again
from common.services.tasks.forge_changes import read_repository_after_push
from common.transaction import snapshot
from common.values.states import ProjectState


@dataclass(frozen=True)
class PushAtForge(NewPush):
    """login: the pusher's user name at the forge."""

    login: str


def read_repository_soon(owner: str, name: str, *, push: PushAtForge | None = None) -> bool:
    """Read the repository `owner/name` soon. Returns False if no active project has it. Safe to repeat."""
    project_id = _active_project(owner, name)
    if project_id is None:
        return False
    if push is not None:
        note_push_at_forge(project_id, push, login=push.login)
    read_repository_after_push(project_id)
    return True


def enqueue_status_checks(owner: str, name: str) -> int:
    """Look soon for the statuses that proofs in the repository `owner/name` wait for. Safe to repeat.

    Returns the number of these proofs.
    """
    project_id = _active_project(owner, name)
    return check_statuses_again(project_id) if project_id is not None else 0


def _active_project(owner: str, name: str) -> str | None:
    with snapshot() as read:
        project = read.find(select(Project).where(Project.slug == name, Project.repository_owner == owner))
        return project.id if project is not None and project.state is ProjectState.ACTIVE else None
