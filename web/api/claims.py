"""The shape of a claim: what an agent gets for a run that it takes."""

from __future__ import annotations

from dataclasses import replace

from marshmallow import fields

from common.machine.text import camel_case
from common.providers.forge import forge
from common.values.egress import Egress
from common.values.json_codec import Json, encode
from common.values.runs.claimed_run import ClaimedRun, Clone
from common.values.states import Priority
from common.values.testing.agent_review import Purpose
from web.api.comments import PlaceSchema
from web.http.fields import Choice, Schema, WholeObject


class RunnerRunSchema(Schema):
    """traceParent: of the request that led to the run (W3C Trace Context); null unless the platform traces.

    purpose: `review` for a run that only reads clone.commit and gives its verdict.
    """

    shows = "run"
    id = fields.String()
    round = fields.Integer()
    token = fields.String()
    trace_parent = fields.String(allow_none=True)
    purpose = Choice(Purpose)


class RunnerTaskSchema(Schema):
    id = fields.String()
    title = fields.String()
    description = fields.String()
    branch_name = fields.String()
    priority = Choice([priority.label for priority in Priority])
    labels = fields.List(fields.String())


class RunnerProjectSchema(Schema):
    id = fields.String()
    name = fields.String()
    default_branch = fields.String()
    test_command = fields.String(allow_none=True)
    agent_instructions = fields.String()


class RunnerCloneSchema(Schema):
    url = fields.String()
    username = fields.String()
    password = fields.String()
    branch = fields.String()
    base_branch = fields.String()
    commit = fields.String(allow_none=True)


class FeedbackCommentSchema(PlaceSchema):
    id = fields.String()
    body = fields.String()


class RunnerFeedbackSchema(Schema):
    kind = fields.String()
    body = fields.String()
    comments = fields.List(fields.Nested(FeedbackCommentSchema))


class RunnerModelsSchema(Schema):
    """token: for the model calls of this run alone. addresses: by the API that is spoken there."""

    token = fields.String()
    addresses = fields.Dict(keys=fields.String(), values=fields.String())


class RunnerServiceSchema(Schema):
    kind = fields.String()
    version = fields.String(allow_none=True)


class RunnerAttachmentSchema(Schema):
    id = fields.String()
    name = fields.String()
    media_type = fields.String()
    size_bytes = fields.Integer()


class RunnerNetworkSchema(Schema):
    """What the run's programs may reach. hosts: beside the package registries, for `registries`."""

    egress = Choice(Egress)
    hosts = fields.List(fields.String())


class ClaimSchema(Schema):
    """driver: the chosen one. model: null for the driver's own choice. models: null if there is no provider.

    prompt: with a session only what that does not know. freshPrompt: everything, for a session that can't be used.
    """

    run = WholeObject(RunnerRunSchema)
    task = fields.Nested(RunnerTaskSchema)
    project = fields.Nested(RunnerProjectSchema)
    clone = fields.Function(lambda claimed: RunnerCloneSchema().dump(_clone(claimed)))
    prompt = fields.String()
    feedback = fields.List(fields.Nested(RunnerFeedbackSchema))
    limits = fields.Function(lambda claimed: _limits(claimed))
    driver = fields.String(allow_none=True)
    model = fields.String(allow_none=True)
    models = fields.Nested(RunnerModelsSchema, allow_none=True)
    has_session = fields.Boolean()
    session_driver = fields.String(allow_none=True)
    fresh_prompt = fields.String()
    setup_command = fields.String(allow_none=True)
    cache_paths = fields.List(fields.String())
    services = fields.List(fields.Nested(RunnerServiceSchema))
    attachments = fields.List(fields.Nested(RunnerAttachmentSchema))
    network = fields.Nested(RunnerNetworkSchema)


def _clone(claimed: ClaimedRun) -> Clone:
    assert claimed.repository is not None
    return replace(claimed.clone, url=forge().read_clone_url(claimed.repository))


def _limits(claimed: ClaimedRun) -> dict[str, Json]:
    """Those that there are."""
    limits = encode(claimed.limits, key_of=camel_case)
    assert isinstance(limits, dict)
    return {key: value for key, value in limits.items() if value is not None}
