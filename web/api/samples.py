"""Sample projects, made by one request, to try the platform with."""

from __future__ import annotations

from marshmallow import fields

from common.services.projects import samples as services
from common.values.states import Role
from web.api.project_schemas import ProjectSchema
from web.api.tasks import WrittenTaskSchema
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, reply
from web.http.fields import Schema

samples = Blueprint("samples", __name__, url_prefix="/api")


class SampleSchema(Schema):
    project = fields.Nested(ProjectSchema)
    tasks = fields.List(fields.Nested(WrittenTaskSchema))


@samples.post("/projects/sample")
@allow(Role.MAINTAINER)
@reply(SampleSchema, 201)
def create_sample() -> object:
    """Create a sample project with three tasks that need no model: one is good, one asks, one conflicts with the first.

    Its name is `Sample`, or `Sample 2` and so on where that is taken.
    """
    project, tasks = services.create_sample(by=current_caller())
    return {"project": project, "tasks": tasks}
