"""What the API's description says of each operation beside its schemas: its name, its words, and its examples.

The name is that of the view's function. The words are those of web/api/operations.toml and of the view's docstring;
who may call is added from its rule. The examples in web/api/examples/ were recorded from a run: `make examples`.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import tomllib
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from flask import Flask

from common.services.requests.idempotency import LONGEST_KEY
from web.http.auth import Rule
from web.http.description.document import Document

_API = Path(__file__).parents[2] / "api"
EXAMPLES = _API / "examples"
_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "The same key and body give the first reply again for 24 hours.",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"},
}
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


class Words(TypedDict):
    """description: what the view's docstring does not say; absent if that is all.

    statuses: what the view replies beside the status of its @reply: with the same content, or without any for 204.
    """

    summary: str
    description: NotRequired[str]
    statuses: NotRequired[list[int]]


class Example(TypedDict):
    """One request with its reply. parameters: those of the path and the query, as they were sent.

    request, reply: bodies in JSON; absent where there is none.
    """

    parameters: dict[str, str]
    request: NotRequired[Any]
    status: int
    reply: NotRequired[Any]


@functools.cache
def written_descriptions() -> dict[str, Words]:
    """The words for each operation by its name."""
    words: dict[str, Words] = tomllib.loads((_API / "operations.toml").read_text("utf-8"))
    return words


def read_example(name: str) -> Example | None:
    """The recorded example of the operation of that name; None if there is none."""
    path = EXAMPLES / f"{name}.json"
    if not path.exists():
        return None
    example: Example = json.loads(path.read_text("utf-8"))
    return example


def add_descriptions(paths: Document, app: Flask) -> None:
    """Give each operation of the app's views its operationId, summary, description and examples.

    paths: of the description, changed in place; what it lacks is left out.
    """
    for path, method, view in _views(app):
        operation = paths.get(path, {}).get(method)
        if operation is None:
            continue
        name = view.__name__
        words = written_descriptions().get(name, Words(summary=name.replace("_", " ").capitalize()))
        operation.update(operationId=name, summary=words["summary"], description=_description(view, words))
        if _is_replayed(view, method):
            operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
        example = read_example(name)
        if example is not None:
            _add_example(operation, [*paths[path].get("parameters", []), *operation.get("parameters", [])], example)
        for status in words.get("statuses", []):
            _add_status(operation["responses"], status)


def _views(app: Flask) -> Iterable[tuple[str, str, Any]]:
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield _PARAMETER.sub(r"{\1}", rule.rule), method.lower(), app.view_functions[rule.endpoint]


def _description(view: object, words: Words) -> str:
    said = [" ".join(part.split()) for part in (inspect.getdoc(view) or "").split("\n\n")]
    rule = getattr(view, "rule", None)
    if isinstance(rule, Rule):
        said.append(rule.caller)
    return "\n\n".join(part for part in [words.get("description", "").strip(), *said] if part)


def _is_replayed(view: object, method: str) -> bool:
    """Whether the operation takes an Idempotency-Key: a POST that needs a token, unless it is marked otherwise."""
    rule = getattr(view, "rule", None)
    needs_token = isinstance(rule, Rule) and rule.authenticate is not None
    return method == "post" and needs_token and getattr(view, "is_replayed", True)


def _add_example(operation: Document, parameters: list[Document], example: Example) -> None:
    for parameter in parameters:
        if parameter["name"] in example["parameters"]:
            parameter["example"] = _typed(example["parameters"][parameter["name"]], parameter["schema"])
    if "request" in example:
        operation["requestBody"]["content"]["application/json"]["example"] = example["request"]
    reply = operation["responses"].get(str(example["status"]), {}).get("content", {})
    if "reply" in example and "application/json" in reply:
        reply["application/json"]["example"] = example["reply"]


def _add_status(responses: Document, status: int) -> None:
    """Describe another reply like the usual one."""
    usual: Document = next(reply for code, reply in responses.items() if code != "default")
    content = {} if status == HTTPStatus.NO_CONTENT else {"content": usual["content"]}
    responses[str(status)] = {"description": HTTPStatus(status).phrase, **content}


def _typed(text: str, schema: Document) -> str | int:
    kind = schema.get("type", "string")
    return int(text) if kind == "integer" or "integer" in kind else text
