"""The API's description of itself: OpenAPI 3.1 at /api/openapi.json, made from the schemas that validate.

A route that is not in it has no @reply; a test compares the two.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import flask_smorest
from flask import Blueprint, Flask, Response
from marshmallow import fields

from web import VERSION
from web.http import fields as own_fields
from web.http.auth import public
from web.http.blueprint import CONVERTERS, AgentIdConverter, IdConverter, QuestionIdConverter
from web.http.fields import Schema

_SPEC = {
    "info": {
        "description": "A self-hosted control plane for AI coding agents: from a task to production, proven.",
    },
    "servers": [{"url": "/"}],
    "security": [{"bearer": []}],
}


_METRICS = {
    "summary": "Metrics in Prometheus' text format; a token unless AIWORKER_METRICS_PUBLIC is set.",
    "responses": {"200": {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}},
}


class Fault(Schema):
    field = fields.String()
    message = fields.String()


class Error(Schema):
    """What every error looks like; `details` with 400, 409, 421, some 503; `requestId` from 500 on."""

    error = fields.String(required=True)
    details = fields.Nested(Fault)
    errors = fields.List(fields.Nested(Fault))
    request_id = fields.String()


class _Api(flask_smorest.Api):  # type: ignore[misc]
    ERROR_SCHEMA = Error

    def _register_error_handlers(self) -> None:
        """Errors are web/http/errors.py's alone."""


def init_openapi(app: Flask, blueprints: list[Any]) -> None:
    """Register the blueprints and serve their description.

    It is made when it is first asked for: making it takes longer than all else of a start.
    """
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    described = Blueprint("openapi", __name__)

    @functools.cache
    def document() -> bytes:
        return json.dumps(_describe(blueprints), ensure_ascii=False).encode()

    @described.get("/api/openapi.json")
    @public
    def openapi() -> Response:
        return Response(document(), content_type="application/json")

    app.register_blueprint(described)


def _describe(blueprints: list[Any]) -> dict[str, Any]:
    # An app of its own: one that has answered its first request takes no blueprint any more.
    app = Flask("described", static_folder=None)
    app.config.update(
        API_TITLE="AiWorker", API_VERSION=VERSION, OPENAPI_VERSION="3.1.0", PROVIDE_AUTOMATIC_OPTIONS=False
    )
    app.url_map.converters.update(CONVERTERS)
    api = _Api(app, spec_kwargs=_SPEC)
    scheme = {"type": "http", "scheme": "bearer", "description": "A login's access token or an API token (aiw_…)."}
    api.spec.components.security_scheme("bearer", scheme)
    api.register_field(own_fields.Timestamp, "string", "date-time")
    api.register_field(own_fields.EnvVars, "object", None)
    for converter in (IdConverter, AgentIdConverter, QuestionIdConverter):
        api.register_converter(converter, lambda found: {"type": "string", "pattern": f"^{found.regex}$"})
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    spec: dict[str, Any] = api.spec.to_dict()
    # Not JSON, so no schema of ours makes it.
    spec["paths"]["/api/metrics"] = {"get": _METRICS}
    return spec
