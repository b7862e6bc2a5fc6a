"""The sentences that the server can send to a person, which the page shows in the reader's language.

Every sentence of the catalogue is one that the product's code can say, and what refuses a request is in the catalogue.
`python -m tests.web.server_texts` lists what a test would refuse.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.web.page_texts import catalogue
from web.app import description
from web.page.routes import STATIC

ROOT = Path(__file__).parents[2]
CATALOGUE = STATIC / "app/languages/es-server.mjs"
REFUSALS = {"Conflict", "Invalid", "ValidationError"}
"""What is given to these is told to who asked."""
FOR_PROGRAMS = {
    "A review proposes no tasks: say it in the summary of your verdict",
    "Not together with q",
    "job {} has been replaced by a newer one that is queued or running",
    "job {} has nothing left to do: {}",
    "job {} is {}; only a failed one can be retried",
    "run {} is over",
    "{} bytes is more than the limit of {}",
}
"""Refusals that only agents, programs and operators are told."""
JOINED = {
    "git {arguments} in no repository",
    "The {scope} has used {amount} of {most} today (UTC).",
    "{scope}'s daily cap",
    "{message} One did not run as it was.",
}
"""Sentences that the code joins from smaller parts."""

_HOLE = re.compile(r"\{\w*\}")


def sources() -> Iterator[ast.Module]:
    for folder in ("common", "web", "workers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield ast.parse(path.read_text("utf-8"))


def without_names(text: str) -> str:
    """A sentence whose holes are all called the same."""
    return _HOLE.sub("{}", text)


def _text(node: ast.expr) -> str:
    """What an expression says, a hole for each value."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr():
            return "".join(_text(one) for one in node.values)
    return "{}"


def refusals() -> set[str]:
    """The sentences with which the code refuses what somebody asks for."""
    found = {
        _text(argument)
        for source in sources()
        for call in ast.walk(source)
        if isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) in REFUSALS
        for argument in call.args
    }
    return {text for text in found if " " in text} - FOR_PROGRAMS


def said_nowhere(sentences: list[str]) -> list[str]:
    """Those with a part between two holes that stands in no text of the code."""
    constants = (node for source in sources() for node in ast.walk(source) if isinstance(node, ast.Constant))
    said = "\n".join(node.value for node in constants if isinstance(node.value, str))
    return [
        text for text in sentences
        if text not in JOINED and any(part not in said for part in _HOLE.split(text) if re.search(r"\w", part))
    ]  # fmt: skip


def wanted_fields() -> set[str]:
    """The names of what a person can send: of bodies and of queries."""
    document = description()
    found: set[str] = set()
    for path, operations in document["paths"].items():
        if path.startswith(("/api/runner/", "/api/webhooks/")):
            continue
        for operation in (one for one in operations.values() if isinstance(one, Mapping)):
            found |= {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
            for content in operation.get("requestBody", {}).get("content", {}).values():
                found |= _names(content.get("schema", {}), document["components"]["schemas"], set())
    return found


def _names(schema: Mapping[str, object], named: Mapping[str, object], seen: set[str]) -> set[str]:
    found: set[str] = set()
    for key, below in schema.items():
        if key == "$ref" and isinstance(below, str) and below not in seen:
            seen.add(below)
            found |= _below(named[below.rpartition("/")[2]], named, seen)
        elif key == "properties" and isinstance(below, Mapping):
            found |= set(below)
            for one in below.values():
                found |= _below(one, named, seen)
        elif key in {"items", "additionalProperties", "allOf", "anyOf", "oneOf"}:
            found |= _below(below, named, seen)
    return found


def _below(schema: object, named: Mapping[str, object], seen: set[str]) -> set[str]:
    if isinstance(schema, Mapping):
        return _names(schema, named, seen)
    return {name for one in schema for name in _below(one, named, seen)} if isinstance(schema, list) else set()


def translations() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The pairs of the Spanish catalogue: sentences, and fields."""
    sentences, _, fields = CATALOGUE.read_text("utf-8").partition("export const FIELDS")
    return catalogue(sentences), catalogue(fields)


if __name__ == "__main__":
    pairs, fields = translations()
    for missing in sorted(refusals() - {without_names(key) for key, _text_ in pairs}):
        print(f"sentence not in {CATALOGUE.name}: {missing!r}")
    for unused in said_nowhere([key for key, _text_ in pairs]):
        print(f"sentence said nowhere: {unused!r}")
    for name in sorted(wanted_fields() ^ {key for key, _text_ in fields}):
        print(f"field missing or unused: {name!r}")
