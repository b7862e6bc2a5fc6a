"""Tasks that agents propose: reading, accepting and dismissing them."""

from __future__ import annotations

from marshmallow import fields

from common.services.tasks import proposals as services
from common.values.states import ProposalState, Role
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, reply, single
from web.http.fields import Schema, Timestamp

proposals = Blueprint("proposals", __name__, url_prefix="/api")


class ProposalSchema(Schema):
    """createdTaskId: the task that was created from it; null unless it is accepted."""

    id = fields.String()
    task_id = fields.String()
    run_id = fields.String()
    title = fields.String()
    description = fields.String()
    state = fields.String(metadata={"enum": [str(state) for state in ProposalState]})
    created_task_id = fields.String(allow_none=True)
    created_at = Timestamp()
    decided_by = fields.String(allow_none=True)
    decided_at = Timestamp(allow_none=True)


class ProposalsSchema(Schema):
    proposals = fields.List(fields.Nested(ProposalSchema))


@proposals.get("/tasks/<id:task_id>/proposals")
@allow(Role.VIEWER)
@reply(ProposalsSchema)
def list_proposals(task_id: str) -> object:
    """The follow-up tasks that the task's agents proposed, oldest first."""
    return {"proposals": services.list_proposals(task_id, by=current_caller())}


@proposals.post("/tasks/<id:task_id>/proposals/<id:proposal_id>/accept")
@allow(Role.MEMBER)
@reply(single("proposal", ProposalSchema))
def accept_proposal(task_id: str, proposal_id: str) -> object:
    """Create the proposed task in the caller's name, with the label `proposed`."""
    return services.accept_proposal(task_id, proposal_id, by=current_caller())


@proposals.post("/tasks/<id:task_id>/proposals/<id:proposal_id>/dismiss")
@allow(Role.MEMBER)
@reply(single("proposal", ProposalSchema))
def dismiss_proposal(task_id: str, proposal_id: str) -> object:
    return services.dismiss_proposal(task_id, proposal_id, by=current_caller())
