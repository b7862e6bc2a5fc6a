"""What the tools of a run's agent read and propose, with the run's token. The runner forwards the agent's calls."""

from __future__ import annotations

from marshmallow import fields, validate

from common.services.agent_api import run_tools as services
from common.services.review import agent_verdicts
from common.services.review.agent_verdicts import NewVerdict
from common.services.tasks.proposals import MOST_PROPOSALS, NewProposal
from common.values.states import Priority
from common.values.testing.agent_review import LONGEST_PATH, MOST_COMMENTS, ReviewComment, Verdict
from web.api.proposals import ProposalSchema
from web.api.runner import AgentText
from web.api.runs import RunSchema
from web.api.tasks import QuestionSchema
from web.http.auth import allow_run, current_run
from web.http.blueprint import Blueprint, body, reply, single
from web.http.fields import Choice, Integer, Label, Schema, Timestamp
from web.http.sparse_schema import SparseSchema

run_tools = Blueprint("run_tools", __name__, url_prefix="/api/runner")

MOST_PROPOSALS_BYTES = 2 * 2**20
LONGEST_GIVEN = 100_000
"""Most characters of a text of a review; what is stored is cut to less."""


class ToolTaskSchema(Schema):
    """state: as people see it. round: starts at 1 and rises with every rejection or refusal."""

    id = fields.String()
    title = fields.String()
    description = fields.String()
    state = fields.String(attribute="state_")
    round = fields.Integer()
    branch_name = fields.String()
    priority = Label(Priority)
    labels = fields.List(fields.String())


class ToolProjectSchema(Schema):
    id = fields.String()
    name = fields.String()
    default_branch = fields.String()
    test_command = fields.String(allow_none=True)
    agent_instructions = fields.String()


class TaskOfRunSchema(Schema):
    task = fields.Nested(ToolTaskSchema)
    project = fields.Nested(ToolProjectSchema)
    questions = fields.List(fields.Nested(QuestionSchema))


class GivenCommentSchema(SparseSchema):
    optional = frozenset({"path", "line", "startLine", "side"})
    path = fields.String()
    line = fields.Integer()
    start_line = fields.Integer()
    side = fields.String()
    body = fields.String()


class GivenFeedbackSchema(GivenCommentSchema):
    kind = fields.String()
    author = fields.String()
    at = Timestamp()
    comments = fields.List(fields.Nested(GivenCommentSchema))


class FeedbackOfRunSchema(Schema):
    feedback = fields.List(fields.Nested(GivenFeedbackSchema))


class OtherTaskSchema(Schema):
    id = fields.String()
    title = fields.String()
    state = fields.String(attribute="state_")
    priority = Label(Priority)
    labels = fields.List(fields.String())


class OtherTasksSchema(Schema):
    tasks = fields.List(fields.Nested(OtherTaskSchema))


class NewProposalSchema(Schema):
    makes = NewProposal
    title = AgentText(required=True)
    description = AgentText(load_default="")


class ProposeTasksSchema(Schema):
    proposals = fields.List(
        fields.Nested(NewProposalSchema),
        required=True,
        validate=validate.Length(min=1, max=MOST_PROPOSALS, error=f"Must have 1 to {MOST_PROPOSALS} entries"),
    )


def _characters(most: int) -> validate.Length:
    return validate.Length(min=1, max=most, error=f"Must have 1 to {most} characters")


class RemarkSchema(Schema):
    """side: `old` if line counts in the version before the change."""

    makes = ReviewComment
    path = AgentText(required=True, validate=_characters(LONGEST_PATH))
    line = Integer(1, 10**7, required=True)
    side = Choice(("new", "old"), load_default="new")
    body = AgentText(required=True, validate=_characters(LONGEST_GIVEN))


class GiveVerdictSchema(Schema):
    verdict = Choice(Verdict, required=True)
    summary = AgentText(required=True, validate=_characters(LONGEST_GIVEN))
    comments = fields.List(
        fields.Nested(RemarkSchema),
        load_default=list,
        validate=validate.Length(max=MOST_COMMENTS, error=f"At most {MOST_COMMENTS}"),
    )


class ProposedSchema(Schema):
    proposals = fields.List(fields.Nested(ProposalSchema))


@run_tools.get("/runs/<id:run_id>/task")
@allow_run()
@reply(TaskOfRunSchema)
def read_task_of_run(run_id: str) -> object:
    """The run's task as it stands now, its project, and the questions of this round."""
    return services.read_task_of(current_run())


@run_tools.get("/runs/<id:run_id>/feedback")
@allow_run()
@reply(FeedbackOfRunSchema)
def read_feedback_of_run(run_id: str) -> object:
    """All feedback on the run's task, the newest first. Reading it does not mark it as delivered."""
    return {"feedback": services.read_feedback_of(current_run())}


@run_tools.get("/runs/<id:run_id>/tasks")
@allow_run()
@reply(OtherTasksSchema)
def list_tasks_for_run(run_id: str) -> object:
    """The newest 200 other tasks of the run's project."""
    return {"tasks": services.list_tasks_for(current_run())}


@run_tools.post("/runs/<id:run_id>/proposals")
@allow_run()
@body(ProposeTasksSchema, most_bytes=MOST_PROPOSALS_BYTES)
@reply(ProposedSchema, 201)
def propose_tasks(run_id: str, proposals: list[NewProposal]) -> object:
    """Propose follow-up tasks, at most 20 in a run. A person decides which are created. Repeating adds nothing."""
    return {"proposals": services.propose_tasks(current_run(), proposals)}


@run_tools.post("/runs/<id:run_id>/review")
@allow_run()
@body(GiveVerdictSchema, most_bytes=MOST_PROPOSALS_BYTES)
@reply(single("run", RunSchema))
def give_verdict(run_id: str, verdict: str, summary: str, comments: list[ReviewComment]) -> object:
    """Give the verdict of a review, once. Its comments appear on the task. Repeating it changes nothing."""
    return agent_verdicts.submit_review(current_run(), NewVerdict(Verdict(verdict), summary, comments))
