"""Runs, the attempts at a task, and their transcripts."""

from __future__ import annotations

from marshmallow import ValidationError, fields

from common.services.agent_api import transcripts as services
from common.services.agent_api.transcripts import TranscriptQuery
from common.services.runs.log_entries import KINDS, entry_body
from common.values.states import Outcome, Role, RunState
from common.values.testing.agent_review import Purpose, Verdict
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, QueryInteger, query, reply, single
from web.http.fields import Choice, Schema, Text, Timestamp

runs = Blueprint("runs", __name__, url_prefix="/api")

MOST_ENTRIES = 1000
LONGEST_SEARCH = 200


class RunSchema(Schema):
    """outcome: as the agent reported it, or `lost`; null while the run is live. commitSha: what the agent claims.

    purpose: `work`, or `review` of the commit commitSha. verdict: of a review; null: it gave none.
    """

    id = fields.String()
    task_id = fields.String()
    agent_id = fields.String()
    state = fields.String(attribute="state_", metadata={"enum": [str(state) for state in RunState]})
    purpose = Choice(Purpose)
    verdict = Choice(Verdict, allow_none=True)
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
    """number: the runner's; the platform's own entries and those of older runners have none. callId: of a tool and its
    result. details: what belongs to the kind, such as the tool's input. What an entry lacks is left out."""

    seq = fields.Integer()
    at = fields.String(metadata={"format": "date-time"})
    level = fields.String()
    kind = fields.String(metadata={"enum": list(KINDS)})
    message = fields.String()
    number = fields.Integer()
    call_id = fields.String(attribute="callId")
    details = fields.Dict()


class TranscriptSchema(Schema):
    """next: the value of `after` for the following entries. live: the run may still write some. leftOut: how many
    entries came after the transcript was full; absent if none did."""

    entries = fields.List(fields.Nested(EntrySchema))
    next = fields.Integer()
    live = fields.Boolean(attribute="is_live")
    left_out = fields.Integer()


class Kinds(fields.String):
    """Kinds of entries, joined by commas."""

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> tuple[str, ...]:  # type: ignore[override]
        kinds = tuple(dict.fromkeys(super()._deserialize(value, attr, data, **kwargs).split(",")))
        if not set(kinds) <= set(KINDS):
            raise ValidationError(f"Must be some of: {', '.join(KINDS)}; joined by commas")
        return kinds


class ReadTranscriptSchema(Schema):
    """q: a part of the message or of a text in the details, in either case. before: read the last entries before this
    seq."""

    makes = TranscriptQuery
    after = QueryInteger(0, load_default=0)
    before = QueryInteger(1, load_default=None)
    limit = QueryInteger(1, MOST_ENTRIES, load_default=500)
    q = Text(LONGEST_SEARCH, least=1, load_default=None, attribute="words")
    kind = Kinds(load_default=(), attribute="kinds")


@runs.get("/runs/<id:run_id>")
@allow(Role.VIEWER)
@reply(single("run", RunSchema))
def read_run(run_id: str) -> object:
    return services.read_run(run_id, by=current_caller())


@runs.get("/runs/<id:run_id>/transcript")
@allow(Role.VIEWER)
@query(ReadTranscriptSchema)
@reply(TranscriptSchema)
def read_transcript(run_id: str, query: TranscriptQuery) -> object:
    """The entries of the run's transcript, oldest first. kind: only these kinds, joined by commas. before: the end of
    the transcript up to this seq, such as 9007199254740991 for its very end."""
    found = services.read_transcript(run_id, query, by=current_caller())
    entries = [entry_body(entry) for entry in found.entries]
    left_out = {"left_out": found.left_out} if found.left_out else {}
    return {"entries": entries, "next": found.next, "is_live": found.is_live, **left_out}
