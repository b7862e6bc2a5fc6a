"""Where a project's things are outside: its repository and its space in the runtime, as plain facts for jobs."""

from __future__ import annotations

from dataclasses import dataclass

from common.models.project import Project


@dataclass(frozen=True)
class Place:
    """Everything that jobs need to name a project to a forge and a runtime."""

    project_id: str
    owner: str
    slug: str
    namespace: str
    default_branch: str
    cpu_limit: str | None
    memory_limit: str | None
    docker_image: str | None
    is_restricted: bool


def place_of(project: Project) -> Place:
    return Place(
        project.id, project.repository_owner, project.slug, project.namespace, project.default_branch,
        project.cpu_limit, project.memory_limit, project.docker_image,
        project.is_restricted,
    )  # fmt: skip
