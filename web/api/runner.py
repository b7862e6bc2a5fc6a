"""What agents call: enrolment, heartbeats, claims, and the reports of one run. The other side is workers/runner.

Text from an agent is whatever its programs wrote: it is cleaned and cut, never refused for its characters.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import marshmallow as ma
from flask import Response, request
from marshmallow import fields, validate

from common.machine.text import without_controls
from common.names import SHA_PATTERN
from common.providers.forge import forge
from common.services.runs import runners as services
from common.services.runs import transcripts
from common.services.runs.transcripts import Line as LogLine
from common.states import Outcome, Priority, QuestionState
from common.values.claimed_run import ClaimedRun, Clone
from common.values.json_codec import Json, camel_case, encode
from web.api.agents import LEVELS, Agent, agent_reply
from web.api.runs import Run
from web.api.tasks import Question
from web.http.auth import agent, allow_agent, allow_enrolment, allow_run, run
from web.http.blueprint import Blueprint, QueryInteger, body, one, query, raw_body, reply
from web.http.errors import UnsupportedMedia
from web.http.fields import Choice, Id, Integer, Line, Number, Schema, Timestamp
from web.http.sparse import Sparse
from web.websocket.long_poll import Waiter

runner = Blueprint("runner", __name__, url_prefix="/api/runner")

MOST_SESSION_BYTES = 16 * 2**20
MOST_LOG_BYTES = 16 * 2**20
"""500 lines of the runner's longest, written in escapes."""
MOST_LINES = 500
LONGEST_WAIT_SECONDS = 30


class AgentText(fields.String):
    """What an agent wrote, without control characters. It is masked, then cut, where it is kept."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return without_controls(super()._deserialize(value, attr, data, **kwargs))


_IS_SHA = validate.Regexp(rf"^{SHA_PATTERN.pattern}\Z", error="Not a commit's 40 digits")
_NOT_EMPTY = validate.Length(min=1, error="Must not be empty")


class RegisterAgent(Schema):
    pod_name = Line(253, required=True)
    capabilities = fields.List(Line(60), load_default=list, validate=validate.Length(max=100))
    driver = Line(40, required=True)
    version = Line(40, required=True)
    slots = Integer(1, 100, load_default=1)


class Registration(Schema):
    agent = fields.Nested(Agent)
    token = fields.String()


class Heartbeat(Schema):
    run_ids = fields.List(Id(), required=True, validate=validate.Length(max=1000))


class RunnerDirective(Sparse):
    """Without runId it is for the agent as a whole."""

    optional = frozenset({"runId"})
    run_id = fields.String()
    do = Choice(("cancel", "drain"))


class HeartbeatReply(Schema):
    lease_until = Timestamp()
    directives = fields.List(fields.Nested(RunnerDirective))


class Wait(Schema):
    wait = QueryInteger(0, LONGEST_WAIT_SECONDS, load_default=0)


class RunnerRun(Schema):
    id = fields.String()
    round = fields.Integer()
    token = fields.String()


class RunnerTask(Schema):
    id = fields.String()
    title = fields.String()
    description = fields.String()
    branch_name = fields.String()
    priority = Choice([priority.label for priority in Priority])
    labels = fields.List(fields.String())


class RunnerProject(Schema):
    id = fields.String()
    name = fields.String()
    default_branch = fields.String()
    test_command = fields.String(allow_none=True)
    agent_instructions = fields.String()


class RunnerClone(Schema):
    url = fields.String()
    username = fields.String()
    password = fields.String()
    branch = fields.String()
    base_branch = fields.String()


class FeedbackComment(Schema):
    id = fields.String()
    path = fields.String(allow_none=True)
    line = fields.Integer(allow_none=True)
    body = fields.String()


class RunnerFeedback(Schema):
    kind = fields.String()
    body = fields.String()
    comments = fields.List(fields.Nested(FeedbackComment))


class Claim(Schema):
    run = fields.Nested(RunnerRun)
    task = fields.Nested(RunnerTask)
    project = fields.Nested(RunnerProject)
    clone = fields.Function(lambda claimed: RunnerClone().dump(_clone(claimed)))
    prompt = fields.String()
    feedback = fields.List(fields.Nested(RunnerFeedback))
    limits = fields.Function(lambda claimed: _limits(claimed))
    driver = fields.String(allow_none=True)
    has_session = fields.Boolean()


class LineOfLog(Schema):
    level = Choice(LEVELS, required=True)
    message = fields.String(required=True)
    kind = Choice(("log", "text", "tool", "result"), load_default="log")
    at = Timestamp(load_default=None, allow_none=True)

    @ma.post_load
    def _as_line(self, loaded: dict[str, Any], **_kwargs: Any) -> LogLine:
        return LogLine(**loaded)


class AppendLines(Schema):
    lines = fields.List(
        fields.Nested(LineOfLog), required=True, validate=validate.Length(max=MOST_LINES, error="At most 500 lines")
    )


class Accepted(Schema):
    accepted = fields.Integer()


class ReportProgress(Schema):
    message = AgentText(required=True)
    done = Integer(0, allow_none=True)
    total = Integer(0, allow_none=True)


class ReportUsage(Schema):
    """This run's totals so far."""

    input_tokens = Integer(0, required=True)
    output_tokens = Integer(0, required=True)
    cached_tokens = Integer(0, required=True)
    cost_usd = Number(0, required=True)


class Empty(Schema):
    """`{}`."""


class AskQuestion(Schema):
    question = AgentText(required=True, validate=_NOT_EMPTY)
    context = AgentText(load_default=None, allow_none=True)
    options = fields.List(AgentText(validate=_NOT_EMPTY), load_default=list, validate=validate.Length(max=50))


class FinishRun(Schema):
    outcome = Choice([outcome for outcome in Outcome if outcome is not Outcome.LOST], required=True)
    commit_sha = fields.String(load_default=None, allow_none=True, validate=_IS_SHA)
    summary = AgentText(required=True)
    reason = AgentText(load_default=None, allow_none=True)
    cut_short = fields.Boolean(load_default=False)


@runner.post("/register")
@allow_enrolment
@body(RegisterAgent)
@reply(Registration, 201)
def register(body: dict[str, Any]) -> Any:
    """Become an agent; the token is in this reply and never shown again."""
    registered, token = services.register_agent(**body)
    return {"agent": agent_reply(registered), "token": token}


@runner.post("/heartbeat")
@allow_agent
@body(Heartbeat)
@reply(HeartbeatReply)
def heartbeat(body: dict[str, Any]) -> Any:
    """Alive, at work on these runs; the reply says which to drop."""
    lease_until, directives = services.beat(agent().agent_id, body["run_ids"])
    return {"lease_until": lease_until, "directives": directives}


@runner.post("/claim")
@allow_agent
@query(Wait)
@reply(Claim)
def claim(query: dict[str, Any]) -> Any:
    """The next run that was given to the agent, waited for as long as asked; 204 if there is none.

    A run that no heartbeat has named is handed out again: the first answer may have been lost.
    """
    claimed = _claimed(agent().agent_id, query["wait"])
    return Response(status=204) if claimed is None else claimed


@runner.post("/runs/<id:run_id>/logs")
@allow_run()
@body(AppendLines, most_bytes=MOST_LOG_BYTES)
@reply(Accepted)
def append_lines(run_id: str, body: dict[str, Any]) -> Any:
    return {"accepted": transcripts.append_lines(run(), body["lines"])}


@runner.post("/runs/<id:run_id>/progress")
@allow_run()
@body(ReportProgress)
@reply(Empty)
def report_progress(run_id: str, body: dict[str, Any]) -> Any:
    """Shown to followers, not stored."""
    transcripts.report_progress(
        run(), {"message": body["message"], "done": body.get("done"), "total": body.get("total")}
    )
    return {}


@runner.post("/runs/<id:run_id>/usage")
@allow_run()
@body(ReportUsage)
@reply(Empty)
def save_usage(run_id: str, body: dict[str, Any]) -> Any:
    services.save_usage(run_id, ReportUsage().dump(body))
    return {}


@runner.post("/runs/<id:run_id>/questions")
@allow_run()
@body(AskQuestion)
@reply(one("question", Question), 201)
def ask_question(run_id: str, body: dict[str, Any]) -> Any:
    """Ask a person. The same question in the same round is the known one (200), answered or not."""
    question, is_new = services.ask_question(run_id, body["question"], context=body["context"], options=body["options"])
    return {"question": question}, 201 if is_new else 200


@runner.get("/runs/<id:run_id>/questions/<question_id:question_id>")
@allow_run()
@query(Wait)
@reply(one("question", Question))
def read_question(run_id: str, question_id: str, query: dict[str, Any]) -> Any:
    """The question, as soon as it is answered or withdrawn, or as it is after `wait` seconds."""
    caller, wait = run(), query["wait"]
    question = services.read_question(caller, question_id)
    if question.state != QuestionState.PENDING or not wait:
        return {"question": question}
    with Waiter(f"question:{question_id}", wait) as waiter:
        question = services.read_question(caller, question_id)
        while question.state == QuestionState.PENDING and waiter.wait():
            question = services.read_question(caller, question_id)
    return {"question": question}


@runner.put("/runs/<id:run_id>/session")
@allow_run()
@raw_body(MOST_SESSION_BYTES)
@reply(None, 204)
def save_session(run_id: str, body: bytes) -> None:
    """Keep the agent CLI's session, as an archive, for whichever run goes on with the task."""
    if request.mimetype != "application/octet-stream":
        raise UnsupportedMedia(request.mimetype)
    services.save_session(run_id, body)


@runner.get("/runs/<id:run_id>/session")
@allow_run()
@reply(None)
def read_session(run_id: str) -> Response:
    """The task's kept session; 404 if there is none."""
    return Response(services.read_session(run()), content_type="application/octet-stream")


@runner.post("/runs/<id:run_id>/finish")
@allow_run(even_over=True)
@body(FinishRun)
@reply(one("run", Run))
def finish_run(run_id: str, body: dict[str, Any]) -> Any:
    """End the run. What it claims is proven by the platform; the same report again is the same reply."""
    return {"run": services.finish_run(run_id, **body | {"outcome": Outcome(body["outcome"])})}


def _claimed(agent_id: str, wait_seconds: int) -> ClaimedRun | None:
    """Wait without a session: each look opens and ends one of its own."""
    claimed = services.claim_run(agent_id)
    if claimed is not None or not wait_seconds:
        return claimed
    with Waiter(f"agent:{agent_id}", wait_seconds) as waiter:
        claimed = _look_for_run(agent_id)
        while claimed is None and waiter.wait():
            claimed = _look_for_run(agent_id)
    return claimed


def _look_for_run(agent_id: str) -> ClaimedRun | None:
    """A read first: agents that only wait must not take turns at the database's write lock."""
    return services.claim_run(agent_id) if services.has_claimable_run(agent_id) else None


def _clone(claimed: ClaimedRun) -> Clone:
    assert claimed.repository is not None
    return replace(claimed.clone, url=forge().read_clone_url(claimed.repository))


def _limits(claimed: ClaimedRun) -> dict[str, Json]:
    """Those that there are."""
    limits = encode(claimed.limits, key_of=camel_case)
    assert isinstance(limits, dict)
    return {key: value for key, value in limits.items() if value is not None}
