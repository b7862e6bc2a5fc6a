"""Projects: made, changed, shared, tried again and removed."""

from __future__ import annotations

import re
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from common.errors import Invalid
from common.path_patterns import why_refused
from common.providers.forge import check_import_address
from common.services.projects import projects as services
from common.services.projects.places import place_of
from common.services.projects.projects import ProjectView
from common.settings import settings
from common.states import ProjectState, Role
from web.api.deployments import StartedJob
from web.api.forbidden_paths import ForbiddenPaths, match_files
from web.http.auth import allow, who
from web.http.blueprint import Blueprint, Paging, body, many, one, page_reply, query, reply
from web.http.fields import Boolean, EnvVars, Integer, Label, Line, Name, Number, Quantity, Schema, Text, Timestamp

projects = Blueprint("projects", __name__, url_prefix="/api")

_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_PLATFORM_BRANCH = re.compile(r"(?:staging|release)(?:/.*)?")
_HEALTH_PATH = r"^/[!-\"$-\[\]-~]{0,499}\Z"
# As the distribution project writes it: [registry[:port]/]path[:tag][@digest].
_IMAGE = (
    r"^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?\Z"
)


def _import_address(text: str) -> None:
    try:
        check_import_address(text, settings().forge.import_allow)
    except Invalid as error:
        raise ma.ValidationError(error.message) from error


def _branch_name(text: str) -> None:
    # Narrower than git: what needs no quoting anywhere, and can't stand in the way of the platform's own branches.
    parts = text.split("/")
    if not _BRANCH.fullmatch(text) or ".." in text or any(part.endswith((".", ".lock")) for part in parts):
        raise ma.ValidationError("Not a branch name of letters, digits and any of _ . - /")
    if text == "HEAD" or parts[0] == "refs":
        raise ma.ValidationError("Is a name that git uses itself")
    if _PLATFORM_BRANCH.fullmatch(text):
        raise ma.ValidationError("Is a branch that the platform uses itself")


def _path_pattern(text: str) -> None:
    reason = why_refused(text)
    if reason is not None:
        raise ma.ValidationError(reason)


class HealthSeconds(Schema):
    """How long a version must stay healthy, by environment."""

    preview = Number(0, 3600)
    staging = Number(0, 3600)
    production = Number(0, 3600)


class Limits(Schema):
    """What one task may use up; a key that is absent limits nothing. Nobody can do anything in no minutes."""

    max_cost_usd = Number(0, 1_000_000)
    max_tokens = Integer(1, 10**12)
    max_minutes = Number(0.1, 100_000)


class Kept(fields.Nested):
    """An object that is checked by its schema, and stored and shown as it was sent."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, partial: Any = None, **kwargs: Any) -> Any:
        super()._deserialize(value, attr, data, partial, **kwargs)
        return dict(value)

    def _serialize(self, nested_obj: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        return dict(nested_obj)


class UpdateProject(Schema):
    read_only = frozenset(
        {
            "id", "slug", "giteaRepoUrl", "k8sNamespace", "status", "state", "error", "createdAt", "createdBy",
            "importUrl", "defaultBranch",
        }
    )  # fmt: skip
    name = Name()
    description = Text(10_000)
    docker_image = Line(255, allow_none=True, validate=validate.Regexp(_IMAGE, error="Not an image's name"))
    env_vars = EnvVars()
    secret_env_vars = EnvVars()
    secrets_in_checks = fields.List(Line(128), validate=validate.Length(max=200))
    secrets_in_previews = fields.List(Line(128), validate=validate.Length(max=200))
    replicas = Integer(1, 100)
    cpu_limit = Quantity("cpu", allow_none=True)
    memory_limit = Quantity("memory", allow_none=True)
    start_command = Text(8_000, least=1, allow_none=True)
    test_command = Text(8_000, least=1, allow_none=True)
    health_path = fields.String(
        validate=validate.Regexp(_HEALTH_PATH, error="Must be a path that starts with /, of at most 500 characters")
    )
    health_contains = Line(200, allow_none=True)
    health_seconds = Kept(HealthSeconds)
    port = Integer(1, 65535, allow_none=True)
    preview_ttl_hours = Integer(1, 8760)
    max_parallel_tasks = Integer(1, 1000, allow_none=True)
    restricted = Boolean(attribute="is_restricted")
    separate_approver = Boolean()
    allow_direct_push = Boolean()
    keep_tests = Boolean()
    forbidden_paths = fields.List(Line(500, validate=_path_pattern), validate=validate.Length(max=200))
    limits = Kept(Limits)
    agent_instructions = Text(50_000)


class CreateProject(UpdateProject):
    read_only = UpdateProject.read_only - {"importUrl", "defaultBranch"}
    name = Name(required=True)
    import_url = Line(2000, allow_none=True, validate=_import_address)
    default_branch = Line(100, validate=_branch_name)


class Project(Schema):
    """envVars: for whoever does not maintain it, the values are masked. secretEnvVars: names alone, for all.

    secretsInChecks, secretsInPreviews: those of secretEnvVars that the tests and previews of a branch are given.
    """

    id = fields.String()
    name = fields.String()
    description = fields.String()
    slug = fields.String()
    gitea_repo_url = fields.String(attribute="repository_url")
    k8s_namespace = fields.String(attribute="namespace")
    status = fields.String(attribute="state_", metadata={"enum": [str(state) for state in ProjectState]})
    error = fields.String(allow_none=True)
    created_at = Timestamp()
    created_by = fields.String()
    import_url = fields.String(allow_none=True)
    default_branch = fields.String()
    docker_image = fields.String(allow_none=True)
    env_vars = fields.Dict(keys=fields.String(), values=fields.String())
    secret_env_vars = fields.List(fields.String(), attribute="secret_env_names")
    secrets_in_checks = fields.List(fields.String())
    secrets_in_previews = fields.List(fields.String())
    replicas = fields.Integer()
    cpu_limit = fields.String(allow_none=True)
    memory_limit = fields.String(allow_none=True)
    start_command = fields.String(allow_none=True)
    test_command = fields.String(allow_none=True)
    health_path = fields.String()
    health_contains = fields.String(allow_none=True)
    health_seconds = Kept(HealthSeconds)
    port = fields.Integer(allow_none=True)
    preview_ttl_hours = fields.Integer()
    max_parallel_tasks = fields.Integer(allow_none=True)
    restricted = fields.Boolean(attribute="is_restricted")
    separate_approver = fields.Boolean()
    allow_direct_push = fields.Boolean()
    keep_tests = fields.Boolean()
    forbidden_paths = fields.List(fields.String())
    limits = Kept(Limits)
    agent_instructions = fields.String()


class ForbiddenPathsQuery(Schema):
    """pattern: absent, the project's own are looked at."""

    pattern = Line(500, validate=_path_pattern, load_default=None)


class DeletedProject(Schema):
    project = fields.Nested(Project)
    job = fields.Nested(StartedJob)


class Member(Schema):
    user_id = fields.String()
    username = fields.String()
    role = Label(Role)


class Members(Schema):
    members = fields.List(fields.Nested(Member))


class PutMember(Schema):
    role = Label(Role, required=True)


_ATTRIBUTES = [name for field, one in Project().fields.items() if (name := one.attribute or field) != "env_vars"]


def _shown(view: ProjectView) -> dict[str, Any]:
    """What the caller may see of it."""
    return {**{name: getattr(view.project, name) for name in _ATTRIBUTES}, "env_vars": view.env_vars}


@projects.get("/projects")
@allow(Role.VIEWER)
@query(Paging)
@reply(many("projects", Project))
def list_projects(query: dict[str, Any]) -> Any:
    """Newest first, those alone that exist for the caller."""
    page = services.list_projects(query["page"], by=who())
    return {**page_reply("projects", page), "projects": [_shown(view) for view in page.items]}


@projects.post("/projects")
@allow(Role.MAINTAINER)
@body(CreateProject)
@reply(one("project", Project), 201)
def create_project(body: services.ProjectValues) -> Any:
    """Make a project. Its repository and its space are made by the job project.provision: see `status`."""
    return {"project": _shown(services.create_project(body, by=who()))}


@projects.get("/projects/<id:project_id>")
@allow(Role.VIEWER)
@reply(one("project", Project))
def read_project(project_id: str) -> Any:
    return {"project": _shown(services.read_project(project_id, by=who()))}


@projects.get("/projects/<id:project_id>/forbidden-paths")
@allow(Role.VIEWER)
@query(ForbiddenPathsQuery)
@reply(ForbiddenPaths)
def read_forbidden_paths(project_id: str, query: dict[str, Any]) -> Any:
    """Which files of the default branch a pattern, or each of the project's own, forbids to touch today."""
    project = services.read_project(project_id, by=who()).project
    chosen = project.forbidden_paths if query["pattern"] is None else [query["pattern"]]
    return match_files(place_of(project), chosen)


@projects.patch("/projects/<id:project_id>")
@allow(Role.MAINTAINER)
@body(UpdateProject)
@reply(one("project", Project))
def update_project(project_id: str, body: services.ProjectValues) -> Any:
    """Change what the body names. What runs changes with the next deployment."""
    return {"project": _shown(services.update_project(project_id, body, by=who()))}


@projects.delete("/projects/<id:project_id>")
@allow(Role.MAINTAINER)
@reply(DeletedProject, 202)
def delete_project(project_id: str) -> Any:
    """Remove the project, its repository, everything of it that runs, and then its rows."""
    project, job = services.delete_project(project_id, by=who())
    return {"project": _shown(services.view_of(project)), "job": job}


@projects.post("/projects/<id:project_id>/retry")
@allow(Role.MAINTAINER)
@reply(one("project", Project))
def retry_project(project_id: str) -> Any:
    """Start a failed provisioning again."""
    return {"project": _shown(services.retry_project(project_id, by=who()))}


@projects.get("/projects/<id:project_id>/members")
@allow(Role.VIEWER)
@reply(Members)
def list_members(project_id: str) -> Any:
    """Who sees the project where it is restricted, by name."""
    return {"members": services.list_members(project_id, by=who())}


@projects.put("/projects/<id:project_id>/members/<id:user_id>")
@allow(Role.MAINTAINER)
@body(PutMember)
@reply(one("member", Member))
def put_member(project_id: str, user_id: str, body: dict[str, Any]) -> Any:
    return {"member": services.put_member(project_id, user_id, body["role"], by=who())}


@projects.delete("/projects/<id:project_id>/members/<id:user_id>")
@allow(Role.MAINTAINER)
@reply(None, 204)
def delete_member(project_id: str, user_id: str) -> None:
    services.delete_member(project_id, user_id, by=who())
