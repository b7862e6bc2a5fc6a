"""What a forge's webhook sets going: a look at the repository. Only who pushed is believed of it, as it is signed.

Nothing else tells that. Where a delivery is lost, who pushed is not known; that the branch moved is seen all the same.
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
    """login: who the forge says pushed."""

    login: str


def ring_for_repository(owner: str, name: str, *, push: PushAtForge | None = None) -> bool:
    """Look at the repository `owner/name` soon. False where it is no active project's. Safe to repeat."""
    with snapshot() as read:
        project = read.find(select(Project).where(Project.slug == name, Project.repository_owner == owner))
        if project is None or project.state is not ProjectState.ACTIVE:
            return False
        project_id = project.id
    if push is not None:
        note_push_at_forge(project_id, push, login=push.login)
    ring_for_push(project_id)
    return True
