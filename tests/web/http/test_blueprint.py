"""How a request is carried through: queries, pages, the description of it all."""

from __future__ import annotations

import inspect
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from marshmallow import missing
from openapi_spec_validator import OpenAPIV31SpecValidator

from web.http.blueprint import PagingSchema
from web.http.fields import Schema


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/jobs?limit=-1", "limit"),
        ("/api/jobs?limit=1&limit=2", "limit"),
        ("/api/jobs?state=%00", "state"),
        ("/api/jobs?projectId=1", "projectId"),
        ("/api/jobs?kind=rm", "kind"),
        ("/api/jobs?cursor=x", "cursor"),
        ("/api/events?afterSeq=-1", "afterSeq"),
        ("/api/auth/me?x=1", "x"),
    ],
)
def test_a_query_parameter_that_is_wrong_is_named(plain_admin: FlaskClient, path: str, field: str) -> None:
    reply = plain_admin.get(path)

    assert (reply.status_code, reply.json["details"]["field"]) == (400, field)


@pytest.mark.parametrize("body", [b'{"x":1}', b"[]", b"x"])
def test_a_route_that_takes_no_body_refuses_one(plain_admin: FlaskClient, body: bytes) -> None:
    path = "/api/jobs/0190a1b2-0000-7000-8000-000000000000/retry"

    assert plain_admin.post(path, data=body, content_type="application/json").status_code == 400
    assert plain_admin.post(path, data=b"{}", content_type="application/json").status_code == 404


def test_a_view_takes_what_its_schemas_read(plain_app: Flask) -> None:
    """Else a request that is right would be answered with a 500."""
    wrong = {}
    for endpoint, view in plain_app.view_functions.items():
        asked = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", [])
        read = {name: field for given in asked for name, field in _read(given["schema"], given["in"]).items()}
        parameters = inspect.signature(inspect.unwrap(view)).parameters
        takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
        unknown = {name for name in read if name not in parameters and not takes_all}
        unsure = {
            name
            for name, is_always_there in read.items()
            if not is_always_there and name in parameters and parameters[name].default is inspect.Parameter.empty
        }
        if unknown | unsure:
            wrong[endpoint] = unknown | unsure
    assert wrong == {}


def _read(schema: type[Schema], place: str) -> dict[str, bool]:
    """The parameters that a view gets of a body or query, and whether each is always there."""
    if schema.makes is not None:
        return {"body" if place == "json" else "query": True}
    read = {
        field.attribute or name: field.required or field.load_default is not missing
        for name, field in schema().load_fields.items()
    }
    if issubclass(schema, PagingSchema):
        read = {name: there for name, there in read.items() if name not in {"limit", "offset", "cursor"}}
        read["page"] = True
    return read


@pytest.mark.slow
def test_the_description_is_openapi_3_1(plain_app: Flask) -> None:
    described = plain_app.test_client().get("/api/openapi.json").json

    OpenAPIV31SpecValidator(described).validate()
    assert described["openapi"] == "3.1.0"


@pytest.mark.slow
def test_the_description_has_every_route_of_the_api(plain_app: Flask) -> None:
    described = plain_app.test_client().get("/api/openapi.json").json["paths"]
    undescribed = {"/api/openapi.json", "/api/docs", "/api/client/<name>"}
    served = {
        (rule.rule, method.lower())
        for rule in plain_app.url_map.iter_rules()
        if rule.rule.startswith("/api/") and rule.rule not in undescribed
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    written = {
        (path, method) for path, operations in described.items() for method in operations if method != "parameters"
    }

    assert {(_plain(path), method) for path, method in served} == written


def _plain(rule: str) -> str:
    """`/api/users/<id:user_id>` as OpenAPI writes it."""
    parts = [part.rpartition(":")[2].removeprefix("<") for part in rule.replace(">", ">\0").split("\0")]
    text = rule
    for name in (part[:-1] for part in parts if part.endswith(">")):
        start = text.index("<")
        text = text[:start] + "{" + name.rpartition("<")[2] + "}" + text[text.index(">") + 1 :]
    return text


def test_metrics_want_a_token_and_count_by_route(plain_app: Flask, plain_admin: FlaskClient) -> None:
    plain_admin.get("/api/jobs/0190a1b2-0000-7000-8000-000000000000")

    assert plain_app.test_client().get("/metrics").status_code == 401
    for path in ("/metrics", "/api/metrics"):
        text = plain_admin.get(path).get_data(as_text=True)
        assert 'route="/api/jobs/<id:job_id>"' in text
        assert "0190a1b2" not in text


@pytest.mark.parametrize("odd", ["a%0d%0aX:y", "%1b[2J", "%ff"])
def test_an_odd_byte_in_any_path_is_a_404_and_in_no_header(plain_app: Flask, odd: str) -> None:
    """For everybody, on every route that takes a part of its path from the caller, and on no route."""
    stranger = plain_app.test_client()
    patterns = {rule.rule for rule in plain_app.url_map.iter_rules() if rule.arguments} | {"/git/<x>", "/<x>", "/x/<x>"}
    assert "/git/<owner>/<name>" in patterns
    for pattern in sorted(patterns):
        path = re.sub(r"<[^>]*>", odd, pattern)
        reply = stranger.get(path)
        assert reply.status_code == 404, path
        assert "X" not in reply.headers
        assert all(value.isprintable() for _name, value in reply.headers), path
