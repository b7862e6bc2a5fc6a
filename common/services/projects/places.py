"""Where a project's things are, and what of its settings its checks run with, as values for jobs."""

from __future__ import annotations

from common.models.project import Project
from common.names import is_preview_app
from common.services.projects.variables import environment_of_checks
from common.values.app import App, Space
from common.values.check import Check
from common.values.place import Place
from common.values.repository import Repository


def place_of(project: Project) -> Place:
    return Place(
        Repository(project.repository_owner, project.slug, project.id),
        Space(project.namespace, project.id, project.cpu_limit, project.memory_limit),
        project.default_branch,
        project.is_restricted,
    )


def app_of(place: Place, name: str) -> App:
    """The app of this name. A preview of a restricted project is only for those who may see the project."""
    return App(place.space, name, is_guarded=place.is_restricted and is_preview_app(name))


def check_of(project: Project, check_id: str, commit: str) -> Check | None:
    """The project's tests on this commit; None where the project names none."""
    if project.test_command is None:
        return None
    return Check(
        place_of(project).space, check_id, commit, project.test_command, variables=environment_of_checks(project),
        memory_limit=project.memory_limit, docker_image=project.docker_image,
    )  # fmt: skip
