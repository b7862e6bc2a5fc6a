"""Jobs: listing the platform's queued, running and past work, and retrying a failed job."""

from __future__ import annotations

from marshmallow import fields

from common.jobs.catalogue import CATALOGUE
from common.services.activity import jobs as services
from common.services.requests.paging import PageQuery
from common.values.states import JobState, Role
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, PagingSchema, page_of, query, reply, single
from web.http.fields import Choice, Id, Schema, Timestamp, WholeObject

jobs = Blueprint("jobs", __name__, url_prefix="/api")


class ProgressSchema(Schema):
    """message, done and total are null until the job reports its progress. Once it is done, message is null again."""

    done = fields.Integer(attribute="progress_done", allow_none=True)
    total = fields.Integer(attribute="progress_total", allow_none=True)
    message = fields.String(attribute="progress_message", allow_none=True)


class JobSchema(Schema):
    id = fields.String()
    kind = fields.String()
    subject_id = fields.String()
    state = fields.String()
    progress = WholeObject(ProgressSchema)
    attempts = fields.Integer()
    error = fields.String(allow_none=True)
    waits_for = fields.String(allow_none=True)
    created_at = Timestamp()
    started_at = Timestamp(allow_none=True)
    finished_at = Timestamp(allow_none=True)


class ListJobsSchema(PagingSchema):
    state = Choice(JobState, load_default=None)
    kind = Choice(CATALOGUE, load_default=None)
    project_id = Id(load_default=None)


@jobs.get("/jobs")
@allow(Role.VIEWER)
@query(ListJobsSchema)
@reply(page_of("jobs", JobSchema, is_capped=True))
def list_jobs(page: PageQuery, state: str | None, kind: str | None, project_id: str | None) -> object:
    """Newest first. Jobs that belong to no project are shown to administrators only."""
    return services.list_jobs(current_caller(), page, state=state, kind=kind, project_id=project_id)


@jobs.get("/jobs/<id:job_id>")
@allow(Role.VIEWER)
@reply(single("job", JobSchema))
def read_job(job_id: str) -> object:
    return services.read_job(current_caller(), job_id)


@jobs.post("/jobs/<id:job_id>/retry")
@allow(Role.MAINTAINER)
@reply(single("job", JobSchema))
def retry_job(job_id: str) -> object:
    """Start a failed job again."""
    return services.retry_job(job_id, by=current_caller())
