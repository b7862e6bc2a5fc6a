"""The API's OpenAPI 3.1 document at /api/openapi.json, made from the schemas that validate requests.

It describes every route with a @reply; a test compares it with the routes that are served. What it says in words and
shows as examples comes from web/http/description/operations.py.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable

import flask_smorest
from flask import Blueprint, Flask, Response
from marshmallow import fields

from web import VERSION
from web.http import fields as own_fields
from web.http.auth import public
from web.http.blueprint import CONVERTERS, AgentIdConverter, IdConverter, QuestionIdConverter
from web.http.blueprint import Blueprint as ApiBlueprint
from web.http.description import field_descriptions
from web.http.description.document import Document
from web.http.description.operations import add_descriptions
from web.http.fields import Schema
from web.http.json_strict import JsonObject
from web.http.replies import with_tag

_SPEC = {
    "info": {
        "description": "A self-hosted control plane for AI coding agents: from a task to production, proven.",
    },
    "servers": [{"url": "/"}],
    "security": [{"bearer": []}],
}


_METRICS: JsonObject = {
    "operationId": "read_metrics",
    "summary": "Read the metrics",
    "description": "In the text format of Prometheus. Needs a token of the role `viewer` or above, or none if the"
    " setting AIWORKER_METRICS_PUBLIC is on.",
    "tags": ["health"],
    "responses": {
        "200": {
            "description": "OK",
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": "# TYPE aiworker_database_up gauge\naiworker_database_up 1.0\n",
                }
            },
        },
        "default": {"$ref": "#/components/responses/DEFAULT_ERROR"},
    },
}
_ERRORS: JsonObject = {
    "invalid": {
        "summary": "400: something in the request is wrong; `details` is the first fault",
        "value": {"error": "Validation error", "details": {"field": "title", "message": "Required"}},
    },
    "unknown": {"summary": "404: it does not exist, or not for you", "value": {"error": "Resource not found"}},
    "conflict": {
        "summary": "409: not possible in the present state",
        "value": {
            "error": "Conflict",
            "details": {"field": "state", "message": "task 019aa2f1-… is backlog; only ready_to_test can be approved"},
        },
    },
}


class FaultSchema(Schema):
    field = fields.String()
    message = fields.String()


class ErrorSchema(Schema):
    """The form of every error; `details` with 400, 409, 421, some 503; `requestId` from 500 on."""

    error = fields.String(required=True)
    details = fields.Nested(FaultSchema)
    errors = fields.List(fields.Nested(FaultSchema))
    request_id = fields.String()


class _Api(flask_smorest.Api):  # type: ignore[misc]
    ERROR_SCHEMA = ErrorSchema

    def _register_error_handlers(self) -> None:
        """Nothing: web/http/errors.py handles all errors."""


def init_openapi(app: Flask, blueprints: list[ApiBlueprint]) -> Callable[[], Document]:
    """Register the blueprints and serve their description. Returns a function that returns it.

    The document is made when it is first asked for: making it takes longer than the rest of the start.
    """
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    described = Blueprint("openapi", __name__)

    @functools.cache
    def description() -> Document:
        return describe(blueprints)

    @functools.cache
    def document() -> bytes:
        return json.dumps(description(), ensure_ascii=False).encode()

    @described.get("/api/openapi.json")
    @public
    def openapi() -> Response:
        return with_tag(Response(document(), content_type="application/json"))

    app.register_blueprint(described)
    return description


def describe(blueprints: list[ApiBlueprint]) -> Document:
    """The description of the blueprints' routes."""
    # A separate app: the served one accepts no blueprint after its first request.
    app = Flask("described", static_folder=None)
    app.config.update(
        API_TITLE="AiWorker", API_VERSION=VERSION, OPENAPI_VERSION="3.1.0", PROVIDE_AUTOMATIC_OPTIONS=False
    )
    app.url_map.converters.update(CONVERTERS)
    api = _Api(app, spec_kwargs=_SPEC)
    scheme = {"type": "http", "scheme": "bearer", "description": "A login's access token or an API token (aiw_…)."}
    api.spec.components.security_scheme("bearer", scheme)
    api.register_field(own_fields.Timestamp, "string", "date-time")
    api.register_field(own_fields.Texts, "object", None)
    for converter in (IdConverter, AgentIdConverter, QuestionIdConverter):
        api.register_converter(converter, lambda found: {"type": "string", "pattern": f"^{found.regex}$"})
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    described: Document = api.spec.to_dict()
    _write_for_javascript(described)
    classes = {name: key[0] for key, name in api.ma_plugin.converter.refs.items()}
    field_descriptions.add_descriptions(described["components"]["schemas"], classes)
    paths = described["paths"]
    add_descriptions(paths, app)
    # The reply is not JSON, so no schema describes it.
    paths["/api/metrics"] = {"get": _METRICS}
    described["components"]["responses"]["DEFAULT_ERROR"]["content"]["application/json"]["examples"] = _ERRORS
    return described


def _write_for_javascript(described: Document) -> None:
    """Write patterns as readers of OpenAPI take them: `$` is their end of a text, and they know no `\\Z`.

    described: changed in place.
    """
    pattern = described.get("pattern")
    if isinstance(pattern, str):
        described["pattern"] = re.sub(r"\\Z$", "$", pattern)
    for part in described.values():
        for below in part if isinstance(part, list) else [part]:
            if isinstance(below, dict):
                _write_for_javascript(below)
