"""Every operation of the API's description says what it does and shows an example that its schemas accept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from flask import Flask

from web.http.description.operations import EXAMPLES, read_example, written_descriptions

Json = Any

LONGEST_SUMMARY = 70
NO_EXAMPLE = {"receive_gitea"}
"""Called by another program, with a body that is that program's."""
SELDOM = {
    "Deployment.error", "Finished.next", "GivenFeedback.line", "GivenFeedback.path", "GivenFeedback.side",
    "GivenFeedback.startLine", "Question.askedBy",
    "Question.escalatedTo", "Transcript.leftOut", "DeploymentsPage.totalIsCapped", "JobsPage.totalIsCapped",
    "TaskGroupsPage.totalIsCapped", "TasksPage.totalIsCapped", "WebhookDeliveriesPage.totalIsCapped",
}  # fmt: skip
"""Fields of replies that no example shows, because they are absent where nothing went wrong, nothing is very
long, or no header asks for them."""


@pytest.fixture
def description(plain_app: Flask) -> Json:
    return plain_app.test_client().get("/api/openapi.json").json


def operations(description: Json) -> Iterator[tuple[str, Json]]:
    for methods in description["paths"].values():
        for method, operation in methods.items():
            if method != "parameters":
                yield operation["operationId"], operation


def bodies(operation: Json) -> Iterator[tuple[str, Json]]:
    """Each request and reply in JSON, by what it is."""
    request = operation.get("requestBody", {}).get("content", {})
    if "application/json" in request:
        yield "request", request["application/json"]
    for status, reply in operation["responses"].items():
        if status != "default" and "application/json" in reply.get("content", {}):
            yield f"reply {status}", reply["content"]["application/json"]


@pytest.mark.slow
def test_every_operation_has_a_name_of_its_own_and_words(description: Json) -> None:
    seen: dict[str, int] = defaultdict(int)
    for name, operation in operations(description):
        seen[name] += 1
        summary = operation["summary"]
        assert summary[0].isupper(), name
        assert len(summary) <= LONGEST_SUMMARY, name
        assert not summary.endswith("."), name
        first, _, last = operation["description"].rpartition("Needs" if "Needs" in operation["description"] else "For")
        assert first.strip(), f"{name}: say what it does in its docstring or in web/api/operations.toml"
        assert last, name
        assert operation["tags"], name
    assert {name: count for name, count in seen.items() if count > 1} == {}


@pytest.mark.slow
def test_all_words_and_examples_belong_to_an_operation(description: Json) -> None:
    names = {name for name, _operation in operations(description)} - {"read_metrics"}

    assert names == written_descriptions().keys(), "web/api/operations.toml"
    assert {path.stem for path in EXAMPLES.glob("*.json")} == names - NO_EXAMPLE, "record them: make examples"


@pytest.mark.slow
def test_every_request_and_reply_has_an_example_that_its_schema_accepts(description: Json) -> None:
    shown = 0
    for name, operation in operations(description):
        for what, content in bodies(operation):
            assert "example" in content, f"{name}: no {what}; record it: make examples"
            check(content["example"], content["schema"], description, f"{name}, {what}")
            shown += 1
        for parameter in operation.get("parameters", []):
            if "example" in parameter:
                check(parameter["example"], parameter["schema"], description, f"{name}, {parameter['name']}")
    assert shown >= 129


@pytest.mark.slow
def test_every_operation_says_what_its_errors_and_its_replies_hold(description: Json) -> None:
    for name, operation in operations(description):
        replies = dict(operation["responses"])
        assert replies.pop("default", None) == {"$ref": "#/components/responses/DEFAULT_ERROR"}, name
        assert [status for status, reply in replies.items() if status != "204" and not reply.get("content")] == [], name

    file = description["paths"]["/api/tasks/{task_id}/attachments/{attachment_id}"]["get"]
    content = file["responses"]["200"]["content"]
    assert set(content) == {"application/octet-stream", "image/gif", "image/jpeg", "image/png", "image/webp"}
    assert content["image/png"]["schema"] == {"type": "string", "format": "binary"}


def check(example: Json, schema: Json, description: Json, where: str) -> None:
    validator = jsonschema.Draft202012Validator({**schema, "components": description["components"]})
    faults = [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(example)]
    assert not faults, (where, faults)


@pytest.mark.slow
def test_the_examples_show_every_field_of_the_replies(description: Json) -> None:
    """A field that is added is recorded anew, or the examples would be of an older API."""
    shown: dict[str, set[str]] = defaultdict(set)
    schemas = description["components"]["schemas"]
    for _name, operation in operations(description):
        for what, content in bodies(operation):
            if what.startswith("reply"):
                note(content["example"], content["schema"], schemas, shown)

    hidden = {f"{name}.{field}" for name in shown for field in schemas[name].get("properties", {}).keys() - shown[name]}
    assert hidden - SELDOM == set()


def note(value: Json, schema: Json, schemas: Json, shown: dict[str, set[str]]) -> None:
    for option in schema.get("anyOf", [schema]):
        if "$ref" in option:
            name = option["$ref"].rpartition("/")[2]
            if isinstance(value, dict):
                shown[name] |= value.keys()
            option = schemas[name]
        if isinstance(value, dict):
            for field, part in value.items():
                note(part, option.get("properties", {}).get(field, {}), schemas, shown)
        elif isinstance(value, list):
            for part in value:
                note(part, option.get("items", {}), schemas, shown)


def test_no_example_holds_a_secret() -> None:
    for path in EXAMPLES.glob("*.json"):
        example = read_example(path.stem)
        assert example is not None
        for name, value in pairs(example.get("reply", {})):
            if name in {"token", "accessToken", "refreshToken", "password"} and isinstance(value, str):
                assert value.endswith("…"), path.name


def pairs(value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield name, part
            yield from pairs(part)
    elif isinstance(value, list):
        for part in value:
            yield from pairs(part)
