"""Runs, the attempts at a task, and their transcripts."""

from __future__ import annotations

from marshmallow import fields

from common.services.runs import transcripts as services
from common.services.runs.log_entries import entry_body
from common.states import Outcome, Role, RunState
from web.http.auth import allow, who
from web.http.blueprint import Blueprint, QueryInteger, one, query, reply
from web.http.fields import Schema, Timestamp

runs = Blueprint("runs", __name__, url_prefix="/api")

MOST_ENTRIES = 1000


class RunSchema(Schema):
    """outcome: as the agent reported it, or `lost`; null while the run is live. commitSha: what the agent claims."""

    id = fields.String()
    task_id = fields.String()
    agent_id = fields.String()
    state = fields.String(attribute="state_", metadata={"enum": [str(state) for state in RunState]})
    round = fields.Integer()
    driver = fields.String(allow_none=True)
    model = fields.String(allow_none=True)
    outcome = fields.String(allow_none=True, metadata={"enum": [*map(str, Outcome), None]})
    summary = fields.String(allow_none=True)
    reason = fields.String(allow_none=True)
    commit_sha = fields.String(attribute="claimed_sha", allow_none=True)
    usage = fields.Dict()
    created_at = Timestamp()
    started_at = Timestamp(allow_none=True)
    finished_at = Timestamp(allow_none=True)


class EntrySchema(Schema):
    seq = fields.Integer()
    at = fields.String(metadata={"format": "date-time"})
    level = fields.String()
    kind = fields.String()
    message = fields.String()


class TranscriptSchema(Schema):
    """next: the value of `after` for the following entries. live: the run may still write some."""

    entries = fields.List(fields.Nested(EntrySchema))
    next = fields.Integer()
    live = fields.Boolean(attribute="is_live")


class ReadTranscriptSchema(Schema):
    after = QueryInteger(0, load_default=0)
    limit = QueryInteger(1, MOST_ENTRIES, load_default=500)


@runs.get("/runs/<id:run_id>")
@allow(Role.VIEWER)
@reply(one("run", RunSchema))
def read_run(run_id: str) -> object:
    return services.read_run(run_id, by=who())


@runs.get("/runs/<id:run_id>/transcript")
@allow(Role.VIEWER)
@query(ReadTranscriptSchema)
@reply(TranscriptSchema)
def read_transcript(run_id: str, after: int, limit: int) -> object:
    """The entries of the run's transcript, oldest first."""
    found = services.read_transcript(run_id, after=after, limit=limit, by=who())
    entries = [entry_body(entry) for entry in found.entries]
    return {"entries": entries, "next": found.next, "is_live": found.is_live}
