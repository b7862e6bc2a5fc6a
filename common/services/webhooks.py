"""What a forge's webhook sets going: a look at the repository, and nothing more. What it says is believed of nobody."""

from __future__ import annotations

from sqlalchemy import select

from common.models.project import Project
from common.services.watching import ring_for_push
from common.states import ProjectState
from common.transaction import snapshot


def ring_for_repository(owner: str, name: str) -> bool:
    """Look at the repository `owner/name` soon. False where it is no active project's. Safe to repeat."""
    with snapshot() as read:
        project = read.find(select(Project).where(Project.slug == name, Project.repository_owner == owner))
        if project is None or project.state is not ProjectState.ACTIVE:
            return False
        project_id = project.id
    ring_for_push(project_id)
    return True
