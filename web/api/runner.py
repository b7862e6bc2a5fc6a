"""The agents' API: registration, heartbeats, claims, and the reports of one run. Its client is workers/runner.

Text from an agent may contain any output of its programs: it is cleaned and cut, never refused for its characters.
"""

from __future__ import annotations

from flask import request
from marshmallow import ValidationError, fields, validate, validates_schema

from common.machine.text import without_controls
from common.services.agent_api import agent_api as services
from common.services.agent_api import agent_sessions, transcripts
from common.services.agent_api.transcripts import Line as LogLine
from common.services.agents.agents import AgentView
from common.services.agents.driver_reports import AgentNews, AgentReport, AgentSetup, Finding, SandboxReport
from common.services.runs.log_entries import KINDS
from common.values.states import QuestionState
from web.api.agents import LEVELS, AgentSchema
from web.api.tasks import QuestionSchema
from web.http.auth import allow_agent, allow_enrolment, allow_run, current_agent, current_run
from web.http.blueprint import Blueprint, QueryInteger, body, never_replayed, query, raw_body, reply, single
from web.http.errors import UnsupportedMedia
from web.http.fields import Boolean, Choice, Id, Integer, Line, Number, Schema, Timestamp, at_most, not_blank
from web.http.replies import Verbatim
from web.http.sparse_schema import SparseSchema
from web.websocket.long_poll import Waiter

runner = Blueprint("runner", __name__, url_prefix="/api/runner")

MOST_SESSION_BYTES = 16 * 2**20
MOST_LOG_BYTES = 16 * 2**20
"""500 lines of the longest that the runner sends, with every character escaped."""
MOST_LINES = 500
MOST_DRIVERS = 50
LONGEST_WAIT_SECONDS = 30


class AgentText(fields.String):
    """Text from an agent, read without control characters. The services mask it, cut it and store it."""

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> str:
        return without_controls(super()._deserialize(value, attr, data, **kwargs))


_NOT_EMPTY = validate.Length(min=1, error="Must not be empty")


class FindingSchema(Schema):
    """What the agent found out about a driver on its machine. says: what is there, or what is missing."""

    makes = Finding
    name = Line(40, required=True)
    can_work = Boolean(required=True)
    says = AgentText(load_default="")
    version = AgentText(load_default=None, allow_none=True)


class SandboxReportSchema(Schema):
    """Whether the agent confines the programs of its runs. says: how, or why not and the remedy."""

    makes = SandboxReport
    is_confining = Boolean(required=True)
    says = AgentText(load_default="")


_DRIVERS = at_most(MOST_DRIVERS)
_ENROLMENT_ID = validate.Regexp(r"^[A-Za-z0-9_-]{32,100}\Z", error="Must have 32 to 100 of A-Z a-z 0-9 - _")


class RegisterAgentSchema(Schema):
    """driver: the first of drivers; one of the two is required. enrolmentId: random characters that the agent makes and
    keeps secret; a registration with the same ones is answered with the same agent and token, and adds no other.
    """

    pod_name = Line(253, required=True)
    capabilities = fields.List(Line(60), load_default=list, validate=at_most(100))
    driver = Line(40, load_default=None)
    drivers = fields.List(Line(40), load_default=None, validate=_DRIVERS)
    findings = fields.List(fields.Nested(FindingSchema), load_default=list, validate=_DRIVERS)
    sandbox = fields.Nested(SandboxReportSchema, load_default=None, allow_none=True)
    version = Line(40, required=True)
    slots = Integer(1, 100, load_default=1)
    enrolment_id = fields.String(load_default=None, allow_none=True, validate=_ENROLMENT_ID)

    @validates_schema(skip_on_field_errors=False)
    def _name_a_driver(self, loaded: dict[str, object], **_context: object) -> None:
        if loaded.get("driver") is None and loaded.get("drivers") is None:
            raise ValidationError({"driver": ["Required"]})


class RegistrationSchema(Schema):
    agent = fields.Nested(AgentSchema)
    token = fields.String()


class HeartbeatSchema(Schema):
    """drivers, findings, error: what the agent can work with now; all absent: what it said before. sandbox: as well.

    error: why it can't work at all; null or absent: it can, with those of its drivers that work. podName, version,
    slots, capabilities: those with which it was started; absent: as before. What an agent in a pod has is the
    platform's to say. isDraining: whether its process has been told to drain; absent: it counts as told by the reply.
    """

    run_ids = fields.List(Id(), required=True, validate=at_most(1000))
    drivers = fields.List(Line(40), load_default=None, validate=_DRIVERS)
    findings = fields.List(fields.Nested(FindingSchema), load_default=None, validate=_DRIVERS)
    error = AgentText(load_default="", allow_none=True)
    sandbox = fields.Nested(SandboxReportSchema, load_default=None, allow_none=True)
    pod_name = Line(253, load_default=None)
    version = Line(40, load_default=None)
    slots = Integer(1, 100, load_default=None)
    capabilities = fields.List(Line(60), load_default=None, validate=at_most(100))
    is_draining = Boolean(load_default=None)


class RunnerDirectiveSchema(SparseSchema):
    """Without runId it concerns the whole agent."""

    optional = frozenset({"runId"})
    run_id = fields.String()
    do = Choice(("cancel", "drain"))


class HeartbeatReplySchema(Schema):
    lease_until = Timestamp()
    directives = fields.List(fields.Nested(RunnerDirectiveSchema))


class WaitSchema(Schema):
    wait = QueryInteger(0, LONGEST_WAIT_SECONDS, load_default=0)


class LineOfLogSchema(Schema):
    """number: the runner's, from 1 in each run, one more with each line. details: larger ones are cut."""

    makes = LogLine
    level = Choice(LEVELS, required=True)
    message = fields.String(required=True)
    kind = Choice(KINDS, load_default="log")
    at = Timestamp(load_default=None, allow_none=True)
    number = Integer(1, 2**53, load_default=None, allow_none=True)
    call_id = fields.String(load_default=None, allow_none=True)
    details = fields.Dict(load_default=None, allow_none=True, error_messages={"invalid": "Must be an object"})


class AppendLinesSchema(Schema):
    lines = fields.List(
        fields.Nested(LineOfLogSchema),
        required=True,
        validate=validate.Length(max=MOST_LINES, error="At most 500 lines"),
    )

    @validates_schema
    def _rise(self, loaded: dict[str, list[LogLine]], **_context: object) -> None:
        last = 0
        for place, line in enumerate(loaded["lines"]):
            if line.number is not None and line.number <= last:
                raise ValidationError({"lines": {place: {"number": [f"Must be greater than {last}, the one before"]}}})
            last = line.number or last


class AcceptedSchema(SparseSchema):
    """accepted: how many lines were stored. received: the number of the last line that arrived, if lines have one."""

    optional = frozenset({"received"})
    accepted = fields.Integer()
    received = fields.Integer()


class ReportProgressSchema(Schema):
    message = AgentText(required=True)
    done = Integer(0, allow_none=True)
    total = Integer(0, allow_none=True)


class ReportUsageSchema(Schema):
    """The totals of this run so far."""

    input_tokens = Integer(0, required=True)
    output_tokens = Integer(0, required=True)
    cached_tokens = Integer(0, required=True)
    cost_usd = Number(0, required=True)


class EmptySchema(Schema):
    """An empty object."""


class AskQuestionSchema(Schema):
    question = AgentText(required=True, validate=not_blank)
    context = AgentText(load_default=None, allow_none=True)
    options = fields.List(AgentText(validate=_NOT_EMPTY), load_default=list, validate=at_most(50))
    blocking = Boolean(load_default=True)
    default_response = AgentText(load_default=None, allow_none=True)


@runner.post("/register")
@allow_enrolment
@never_replayed
@body(RegisterAgentSchema)
@reply(RegistrationSchema, 201)
def register(
    pod_name: str,
    capabilities: list[str],
    driver: str | None,
    drivers: list[str] | None,
    findings: list[Finding],
    sandbox: SandboxReport | None,
    version: str,
    slots: int,
    enrolment_id: str | None,
) -> object:
    """Register as an agent. Only this reply contains the agent's token."""
    named = [driver] if driver is not None else []
    usable = tuple(named if drivers is None else drivers)
    report = AgentReport(usable, tuple(findings), driver=driver or "", sandbox=sandbox)
    registered, token = services.register_agent(
        pod_name=pod_name,
        capabilities=capabilities,
        driver=driver or "",
        version=version,
        slots=slots,
        report=report,
        enrolment_id=enrolment_id,
    )
    return {"agent": AgentView(registered), "token": token}


@runner.post("/heartbeat")
@allow_agent
@body(HeartbeatSchema)
@reply(HeartbeatReplySchema)
def heartbeat(
    run_ids: list[str],
    drivers: list[str] | None,
    findings: list[Finding] | None,
    error: str | None,
    sandbox: SandboxReport | None,
    pod_name: str | None,
    version: str | None,
    slots: int | None,
    capabilities: list[str] | None,
    is_draining: bool | None,
) -> object:
    """Report that the agent is alive and which runs it works on. The reply names the runs to drop."""
    is_news = drivers is not None or findings is not None or error != "" or sandbox is not None
    news = AgentNews(drivers, findings, error or None, sandbox) if is_news else None
    setup = AgentSetup(slots, capabilities, pod_name, version)
    lease_until, directives = services.record_heartbeat(current_agent().agent_id, run_ids, news, setup, is_draining)
    return {"lease_until": lease_until, "directives": directives}


@runner.post("/runs/<id:run_id>/logs")
@allow_run()
@body(AppendLinesSchema, most_bytes=MOST_LOG_BYTES)
@reply(AcceptedSchema)
def append_lines(run_id: str, lines: list[LogLine]) -> object:
    """Add lines to the run's transcript. Lines whose numbers arrived before are ignored."""
    return transcripts.append_lines(current_run(), lines)


@runner.post("/runs/<id:run_id>/progress")
@allow_run()
@body(ReportProgressSchema)
@reply(EmptySchema)
def report_progress(run_id: str, message: str, done: int | None = None, total: int | None = None) -> object:
    """Report the progress of the run. It is sent to followers and not stored."""
    transcripts.report_progress(current_run(), {"message": message, "done": done, "total": total})
    return {}


@runner.post("/runs/<id:run_id>/usage")
@allow_run()
@body(ReportUsageSchema)
@reply(EmptySchema)
def save_usage(run_id: str, input_tokens: int, output_tokens: int, cached_tokens: int, cost_usd: float) -> object:
    services.save_usage(
        run_id,
        {
            "inputTokens": input_tokens,
            "outputTokens": output_tokens,
            "cachedTokens": cached_tokens,
            "costUsd": cost_usd,
        },
    )
    return {}


@runner.post("/runs/<id:run_id>/questions")
@allow_run()
@body(AskQuestionSchema)
@reply(single("question", QuestionSchema), 201)
def ask_question(
    run_id: str, question: str, context: str | None, options: list[str], blocking: bool, default_response: str | None
) -> tuple[object, int]:
    """Ask a person. Repeating a question in the same round replies with the existing one (200), answered or not.

    blocking: the task waits for the answer; if false, the agent gets it as a message. defaultResponse: the answer at
    the deadline, where the project's `questionRules` allow it.
    """
    asked, is_new = services.ask_question(
        run_id, question, context=context, options=options, is_blocking=blocking, default_response=default_response
    )
    return asked, 201 if is_new else 200


@runner.get("/runs/<id:run_id>/questions/<question_id:question_id>")
@allow_run()
@query(WaitSchema)
@reply(single("question", QuestionSchema))
def read_question(run_id: str, question_id: str, wait: int) -> object:
    """The question, as soon as it is answered or withdrawn, and at the latest after `wait` seconds."""
    caller = current_run()
    question = services.read_question(caller, question_id)
    if question.state != QuestionState.PENDING or not wait:
        return question
    with Waiter(f"question:{question_id}", wait) as waiter:
        question = services.read_question(caller, question_id)
        while question.state == QuestionState.PENDING and waiter.wait():
            question = services.read_question(caller, question_id)
    return question


@runner.put("/runs/<id:run_id>/session")
@allow_run()
@raw_body(MOST_SESSION_BYTES)
@reply(None, 204)
def save_session(run_id: str, body: bytes) -> None:
    """Store the session of the agent's CLI, an archive, for the next run of the task."""
    if request.mimetype != "application/octet-stream":
        raise UnsupportedMedia(request.mimetype)
    agent_sessions.save_session(run_id, body)


@runner.get("/runs/<id:run_id>/session")
@allow_run()
@reply(None, also=("application/octet-stream",))
def read_session(run_id: str) -> Verbatim:
    """The task's stored session; 404 if there is none."""
    return Verbatim(agent_sessions.read_session(current_run()), "application/octet-stream")
