"""A project's repository, namespace, apps and checks, as values for jobs."""

from __future__ import annotations

import re
from dataclasses import replace

from common.models.project import Project
from common.services.project_settings.check_settings import settings_of
from common.services.project_settings.variables import environment_of_checks
from common.values.delivery.app import App, ProjectNamespace
from common.values.delivery.project_location import ProjectLocation
from common.values.egress import Egress, Network
from common.values.names import RELEASE_PREFIX, STAGING_BRANCH, is_preview_app
from common.values.needs import Needs, services_of
from common.values.repository import Repository
from common.values.testing.check import Check

_PLATFORM_BRANCHES = frozenset({STAGING_BRANCH, RELEASE_PREFIX.rstrip("/")})
"""First parts of the platform's branches. git can't store a branch `release` beside `release/…`."""
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


LOCATION_COLUMNS = (
    Project.repository_owner, Project.slug, Project.id, Project.namespace, Project.cpu_limit, Project.memory_limit,
    Project.default_branch, Project.is_restricted,
)  # fmt: skip
"""What `location_from` takes, for queries that need no more of a project."""


def location_of(project: Project) -> ProjectLocation:
    return location_from(
        project.repository_owner, project.slug, project.id, project.namespace, project.cpu_limit, project.memory_limit,
        project.default_branch, project.is_restricted,
    )  # fmt: skip


def location_from(
    owner: str,
    slug: str,
    project_id: str,
    namespace: str,
    cpu_limit: str | None,
    memory_limit: str | None,
    default_branch: str,
    is_restricted: bool,
) -> ProjectLocation:
    """The location of the project that has these values in PLACE_COLUMNS."""
    return ProjectLocation(
        Repository(owner, slug, project_id),
        ProjectNamespace(namespace, project_id, cpu_limit, memory_limit),
        default_branch,
        is_restricted,
    )


def app_of(place: ProjectLocation, name: str) -> App:
    """The app of this name. Previews of a restricted project are guarded: only people who may see it reach them."""
    return App(place.space, name, is_guarded=place.is_restricted and is_preview_app(name))


def needs_of(project: Project, *, is_long_lived: bool = False, is_approved: bool = False) -> Needs:
    """What the project's workspaces need.

    is_long_lived: of staging and production, which get no database of their own: it would be lost with every
    deployment. is_approved: the commit is approved, so the run may save the project's caches.
    """
    services = () if is_long_lived else services_of(project.services)
    return Needs(project.setup_command, tuple(project.cache_paths), services, may_save_cache=is_approved)


def network_of(project: Project) -> Network:
    """What the project's agents, checks and previews may reach. Staging and production have every public address."""
    return Network(Egress(project.egress), tuple(project.egress_hosts))


def check_of(project: Project, check_id: str, commit: str, *, is_approved: bool = False) -> Check | None:
    """The project's tests on this commit; None if it has no test command. is_approved: see `needs_of`."""
    if project.test_command is None:
        return None
    check = Check(
        location_of(project).space, check_id, commit, project.test_command, variables=environment_of_checks(project),
        memory_limit=project.memory_limit, docker_image=project.docker_image,
        needs=needs_of(project, is_approved=is_approved), network=network_of(project),
        test_report=project.test_report,
    )  # fmt: skip
    return replace(check, settings=settings_of(check))


def branch_fault(name: str) -> str | None:
    """Why this can't be a project's default branch; None if it can.

    Stricter than git: the name must need no quoting anywhere, and must not be one of the platform's branches.
    """
    parts = name.split("/")
    if not _BRANCH.fullmatch(name) or ".." in name or any(part.endswith((".", ".lock")) for part in parts):
        return "Not a branch name of letters, digits and any of _ . - /"
    if name == "HEAD" or parts[0] == "refs":
        return "Is reserved for git"
    return "Is reserved for the platform" if parts[0] in _PLATFORM_BRANCHES else None
