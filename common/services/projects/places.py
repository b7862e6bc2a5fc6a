"""Where a project's things are outside: its repository and its space in the runtime, as plain facts for jobs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.models.project import Project
from common.names import RELEASE_PREFIX, STAGING_BRANCH

_PLATFORM_BRANCHES = frozenset({STAGING_BRANCH, RELEASE_PREFIX.rstrip("/")})
"""git can't have a branch of one of these names, or below one, beside the platform's own."""
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


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


def branch_fault(name: str) -> str | None:
    """Why a project may not have this default branch; None if it may.

    Narrower than git: the name needs no quoting anywhere, and is not one of the platform's own branches.
    """
    parts = name.split("/")
    if not _BRANCH.fullmatch(name) or ".." in name or any(part.endswith((".", ".lock")) for part in parts):
        return "Not a branch name of letters, digits and any of _ . - /"
    if name == "HEAD" or parts[0] == "refs":
        return "Is a name that git uses itself"
    return "Is a branch that the platform uses itself" if parts[0] in _PLATFORM_BRANCHES else None
