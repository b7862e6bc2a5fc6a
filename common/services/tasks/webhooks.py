"""Handles webhooks of the forge: they make the platform read the repository soon.

Of the payload, only the pusher is used, which is signed and known from nowhere else. If a delivery is lost, the pusher
stays unknown, but the sweep still finds that the branch moved.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from common.models.project import Project
from common.services.tasks.pushes import NewPush, note_push_at_forge
from common.services.tasks.watching import ring_for_push
from common.states import ProjectState
from common.transaction import snapshot


@dataclass(frozen=True)
class PushAtForge(NewPush):
    """login: the pusher's user name at the forge."""

    login: str


def ring_for_repository(owner: str, name: str, *, push: PushAtForge | None = None) -> bool:
    """Read the repository `owner/name` soon. Returns False if no active project has it. Safe to repeat."""
    with snapshot() as read:
        project = read.find(select(Project).where(Project.slug == name, Project.repository_owner == owner))
        if project is None or project.state is not ProjectState.ACTIVE:
            return False
        project_id = project.id
    if push is not None:
        note_push_at_forge(project_id, push, login=push.login)
    ring_for_push(project_id)
    return True
