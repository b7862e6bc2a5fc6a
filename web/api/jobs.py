"""The platform's work: what is queued, running, done, failed, and starting a failed one again."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from common.jobs import CATALOGUE
from common.services import jobs as services
from common.states import JobState, Role
from web.http.auth import allow, who
from web.http.blueprint import Blueprint, Paging, many, one, page_reply, query, reply
from web.http.fields import Choice, Id, Itself, Schema, Timestamp

jobs = Blueprint("jobs", __name__, url_prefix="/api")


class Progress(Schema):
    """`message` and counts are null until the job has said how far it is."""

    done = fields.Integer(attribute="progress_done", allow_none=True)
    total = fields.Integer(attribute="progress_total", allow_none=True)
    message = fields.String(attribute="progress_message", allow_none=True)


class Job(Schema):
    id = fields.String()
    kind = fields.String()
    subject_id = fields.String()
    state = fields.String()
    progress = Itself(Progress)
    attempts = fields.Integer()
    error = fields.String(allow_none=True)
    waits_for = fields.String(allow_none=True)
    created_at = Timestamp()
    started_at = Timestamp(allow_none=True)
    finished_at = Timestamp(allow_none=True)


class ListJobs(Paging):
    state = Choice(JobState, load_default=None)
    kind = Choice(CATALOGUE, load_default=None)
    project_id = Id(load_default=None)


@jobs.get("/jobs")
@allow(Role.VIEWER)
@query(ListJobs)
@reply(many("jobs", Job))
def list_jobs(query: dict[str, Any]) -> Any:
    """Newest first; those of no project are shown to administrators."""
    return page_reply("jobs", services.list_jobs(who(), **query))


@jobs.get("/jobs/<id:job_id>")
@allow(Role.VIEWER)
@reply(one("job", Job))
def read_job(job_id: str) -> Any:
    return {"job": services.read_job(who(), job_id)}


@jobs.post("/jobs/<id:job_id>/retry")
@allow(Role.MAINTAINER)
@reply(one("job", Job))
def retry_job(job_id: str) -> Any:
    """Start a failed job again."""
    return {"job": services.retry_job(job_id, by=who())}
