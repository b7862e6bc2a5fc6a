"""Projects and their members: creating, changing, retrying and deleting."""

from __future__ import annotations

from typing import Unpack

from marshmallow import fields

from common.errors import Invalid
from common.providers.forge import is_of_forge
from common.services.project_settings.project_resources import location_of
from common.services.projects import projects as services
from common.services.requests.paging import PageQuery
from common.values.states import Role
from web.api.deployments import StartedJobSchema
from web.api.forbidden_paths import ForbiddenPathsSchema, match_files
from web.api.project_schemas import IS_PATH_PATTERN, CreateProjectSchema, ProjectSchema, UpdateProjectSchema
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, PagingSchema, body, page_of, query, reply, single
from web.http.fields import (
    Choice,
    Label,
    Line,
    Schema,
)

projects = Blueprint("projects", __name__, url_prefix="/api")


class ForbiddenPathsQuerySchema(Schema):
    """pattern: by default the project's own patterns are used."""

    pattern = Line(500, validate=IS_PATH_PATTERN, load_default=None)


class DeletedProjectSchema(Schema):
    project = fields.Nested(ProjectSchema)
    job = fields.Nested(StartedJobSchema)


class MemberSchema(Schema):
    user_id = fields.String()
    username = fields.String()
    role = Label(Role)


class MembersSchema(Schema):
    members = fields.List(fields.Nested(MemberSchema))


class PutMemberSchema(Schema):
    role = Choice([role.label for role in Role if role <= Role.MAINTAINER], required=True)


@projects.get("/projects")
@allow(Role.VIEWER)
@query(PagingSchema)
@reply(page_of("projects", ProjectSchema))
def list_projects(page: PageQuery) -> object:
    """The projects that the caller may see, newest first."""
    return services.list_projects(page, by=current_caller())


@projects.post("/projects")
@allow(Role.MAINTAINER)
@body(CreateProjectSchema)
@reply(single("project", ProjectSchema), 201)
def create_project(**values: Unpack[services.ProjectValues]) -> object:
    """Create a project. The job project.provision creates its repository and its space: see `status`."""
    import_url = values.get("import_url")
    if import_url and is_of_forge(import_url) and not current_caller().is_admin:
        raise Invalid("importUrl", "Only an administrator may import from the platform's own forge server")
    return services.create_project(values, by=current_caller())


@projects.get("/projects/<id:project_id>")
@allow(Role.VIEWER)
@reply(single("project", ProjectSchema))
def read_project(project_id: str) -> object:
    return services.read_project(project_id, by=current_caller())


@projects.get("/projects/<id:project_id>/forbidden-paths")
@allow(Role.VIEWER)
@query(ForbiddenPathsQuerySchema)
@reply(ForbiddenPathsSchema)
def read_forbidden_paths(project_id: str, pattern: str | None) -> object:
    """The files of the default branch that a pattern, or each of the project's own patterns, matches now."""
    project = services.read_project(project_id, by=current_caller()).project
    chosen = project.forbidden_paths if pattern is None else [pattern]
    return match_files(location_of(project), chosen)


@projects.patch("/projects/<id:project_id>")
@allow(Role.MAINTAINER)
@body(UpdateProjectSchema)
@reply(single("project", ProjectSchema))
def update_project(project_id: str, **values: Unpack[services.ProjectValues]) -> object:
    """Change the fields that were sent. Running deployments change with their next deployment."""
    return services.update_project(project_id, values, by=current_caller())


@projects.delete("/projects/<id:project_id>")
@allow(Role.MAINTAINER)
@reply(DeletedProjectSchema, 202)
def delete_project(project_id: str) -> object:
    """Delete the project's deployments, its repository and finally its rows."""
    project, job = services.delete_project(project_id, by=current_caller())
    return {"project": project, "job": job}


@projects.post("/projects/<id:project_id>/retry")
@allow(Role.MAINTAINER)
@reply(single("project", ProjectSchema))
def retry_project(project_id: str) -> object:
    """Start a failed provisioning again."""
    return services.retry_project(project_id, by=current_caller())


@projects.get("/projects/<id:project_id>/members")
@allow(Role.VIEWER)
@reply(MembersSchema)
def list_members(project_id: str) -> object:
    """The users who may see the project if it is restricted, sorted by name."""
    return {"members": services.list_members(project_id, by=current_caller())}


@projects.put("/projects/<id:project_id>/members/<id:user_id>")
@allow(Role.MAINTAINER)
@body(PutMemberSchema)
@reply(single("member", MemberSchema))
def put_member(project_id: str, user_id: str, role: str) -> object:
    return services.put_member(project_id, user_id, Role.of(role), by=current_caller())


@projects.delete("/projects/<id:project_id>/members/<id:user_id>")
@allow(Role.MAINTAINER)
@reply(None, 204)
def delete_member(project_id: str, user_id: str) -> None:
    services.delete_member(project_id, user_id, by=current_caller())
