"""An agent's claim of its next run, and the report with which a run ends: the agent gets its next one in the reply."""

from __future__ import annotations

from flask import request
from marshmallow import fields, validate

from common.errors import AnotherKey, Busy, Unauthenticated
from common.services.agent_api import agent_api as services
from common.services.agents import scheduling
from common.values.names import SHA_PATTERN
from common.values.runs.claimed_run import ClaimedRun
from common.values.states import Outcome
from web.api.claims import ClaimSchema
from web.api.runner import AgentText, WaitSchema
from web.api.runs import RunSchema
from web.http.auth import allow_agent, allow_run, current_agent, current_run
from web.http.blueprint import Blueprint, body, query, reply
from web.http.fields import Boolean, Choice, Schema
from web.http.sparse_schema import SparseSchema
from web.websocket.long_poll import Waiter

run_claims = Blueprint("run_claims", __name__, url_prefix="/api/runner")

PREPARE_SECONDS = 2
"""How long the reply to a report waits until the agent's next run is prepared."""
AGENT_TOKEN = "AiWorker-Agent-Token"  # noqa: S105 (a header's name)
PROCESS = "AiWorker-Process"
LONGEST_PROCESS = 100

_IS_SHA = validate.Regexp(rf"^{SHA_PATTERN.pattern}\Z", error="Not a commit's 40 digits")


class FinishRunSchema(Schema):
    outcome = Choice([outcome for outcome in Outcome if outcome is not Outcome.LOST], required=True)
    commit_sha = fields.String(load_default=None, allow_none=True, validate=_IS_SHA)
    summary = AgentText(required=True)
    reason = AgentText(load_default=None, allow_none=True)
    cut_short = Boolean(load_default=False)


class FinishedSchema(SparseSchema):
    """next: the agent's next run, if it asked for one and there is one."""

    optional = frozenset({"next"})
    run = fields.Nested(RunSchema)
    next = fields.Nested(ClaimSchema, allow_none=True)


@run_claims.post("/claim")
@allow_agent
@query(WaitSchema)
@reply(ClaimSchema)
def claim(wait: int) -> tuple[object, int]:
    """The next run that was assigned to the agent, waiting at most `wait` seconds for it; 204 if there is none.

    A run is handed out again until a heartbeat names it: an earlier reply may have been lost. If it was handed to
    another process, as the header `AiWorker-Process` says, with a new token: that process drops it.
    """
    claimed = _claimed(current_agent().agent_id, wait)
    return claimed, 204 if claimed is None else 200


@run_claims.post("/runs/<id:run_id>/finish")
@allow_run(allow_ended=True)
@body(FinishRunSchema)
@reply(FinishedSchema)
def finish_run(
    run_id: str, outcome: str, commit_sha: str | None, summary: str, reason: str | None, cut_short: bool
) -> object:
    """End the run. The platform proves what the agent claims. Repeating the report gives the same reply.

    With the agent's own token in the header `AiWorker-Agent-Token`, its next run is in the reply as `next`, if a task
    waits for it: a claim like any other. Without `next`, the agent claims as usual.
    """
    ended = services.finish_run(
        run_id,
        outcome=Outcome(outcome),
        commit_sha=commit_sha,
        summary=summary,
        reason=reason,
        cut_short=cut_short,
    )
    return {"run": ended, "next": _next_of(_asking_agent())}


def _asking_agent() -> str | None:
    """The agent of the run that asks for its next one: a run's own token is good for nothing but this run."""
    token = request.headers.get(AGENT_TOKEN)
    if token is None:
        return None
    try:
        agent_id = services.authenticate_agent(token).agent_id
    except Unauthenticated:
        return None  # the report counts all the same
    return agent_id if agent_id == current_run().agent_id else None


def _next_of(agent_id: str | None) -> ClaimedRun | None:
    if agent_id is None:
        return None
    try:
        return _claimed(agent_id, PREPARE_SECONDS) if scheduling.assign_next(agent_id) else None
    except (AnotherKey, Busy):
        return None  # the run has ended: the agent need not know more


def _claimed(agent_id: str, wait_seconds: int) -> ClaimedRun | None:
    """Wait without an open database session: each look uses a session of its own."""
    claimed = services.claim_run(agent_id, _process())
    if claimed is not None or not wait_seconds:
        return claimed
    with Waiter(f"agent:{agent_id}", wait_seconds) as waiter:
        claimed = _look_for_run(agent_id)
        while claimed is None and waiter.wait():
            claimed = _look_for_run(agent_id)
    return claimed


def _process() -> str | None:
    """Which process of the agent asks; None if it does not say. Two may have one identity, by a copy of its file."""
    return request.headers.get(PROCESS, "")[:LONGEST_PROCESS] or None


def _look_for_run(agent_id: str) -> ClaimedRun | None:
    """Read before claiming: waiting agents must not compete for the database's write lock."""
    return services.claim_run(agent_id, _process()) if services.has_claimable_run(agent_id) else None
