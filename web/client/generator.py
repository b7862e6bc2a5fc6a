"""Writes the client for Python from the API's description: a method for each operation, a type for each schema.

What the methods stand on is transport.py, which goes into the package as it is. The operations that agents and other
programs call are left out. decisions/0023 says why no generator of others writes it.
"""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from web.http.description.document import Document

NAME = "aiworker_client"
_LEFT_OUT = ("/api/runner/", "/api/webhooks/", "/api/metrics")
_KINDS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_NO_WORDS = "The API's description says no more."

_INIT = '''\
"""A client of AiWorker {version}, made from the description of its API.

    from aiworker_client import AiWorker

    client = AiWorker("http://localhost:3000", "aiw_…")
    task = client.create_task(project_id=project["id"], title="Greet in Spanish")

Arguments are in Python's spelling; replies are the API's JSON as it is: `task["branchName"]`. A reply that holds one
thing under its name is that thing. Errors are exceptions, kinds of AiWorkerError, that name the field.
"""

from .operations import Operations as AiWorker
from .transport import (
    UNSET,
    AiWorkerError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)

__all__ = [
    "UNSET", "AiWorker", "AiWorkerError", "Conflict", "Forbidden", "Invalid", "NotFound", "TooManyRequests",
    "Unauthenticated", "Unavailable",
]
__version__ = "{version}"
'''
_OPERATIONS = '''\
"""The operations of the API, one method each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import quote

from . import types as t
from .transport import UNSET, Transport, Unset


class Operations(Transport):
    """Every operation for people, in the order of the API's description."""
'''
_TYPES = '''\
"""What requests and replies hold, as the API's description says. No key has to be there."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

'''


def files_of(description: Document) -> dict[str, str]:
    """The files of the package by their paths. description: the API's, of OpenAPI 3.1."""
    schemas: Document = description["components"]["schemas"]
    operations = "\n".join(_method(path, method, one, schemas) for path, method, one in _operations(description))
    return {
        f"{NAME}/__init__.py": _INIT.replace("{version}", description["info"]["version"]),
        f"{NAME}/transport.py": Path(__file__).with_name("transport.py").read_text("utf-8"),
        f"{NAME}/operations.py": f"{_OPERATIONS}\n{operations}",
        f"{NAME}/types.py": _TYPES + "\n\n".join(_type(name, schemas) for name in sorted(schemas)) + "\n",
        f"{NAME}/py.typed": "",
    }


def _operations(description: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            if method != "parameters" and not path.startswith(_LEFT_OUT):
                of_path = methods.get("parameters", [])
                yield path, method, {**operation, "parameters": [*of_path, *operation.get("parameters", [])]}


def _type(name: str, schemas: Document) -> str:
    fields = {field: _hint(schema) for field, schema in schemas[name].get("properties", {}).items()}
    if all(field.isidentifier() and not keyword.iskeyword(field) for field in fields):
        lines = [f"    {field}: {hint}" for field, hint in fields.items()]
        return "\n".join([f"class {name}(TypedDict, total=False):", *(lines or ["    pass"]), ""])
    # A key that is a word of Python's can't stand in a class.
    listed = "".join(f'    "{field}": "{hint}",\n' for field, hint in fields.items())
    return f'{name} = TypedDict("{name}", {{\n{listed}}}, total=False)\n'


def _hint(schema: Document, prefix: str = "") -> str:
    """The type of what the schema accepts. prefix: of the names of TypedDicts."""
    if "$ref" in schema:
        return prefix + _referred(schema)
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_hint(option, prefix) for option in schema["anyOf"]))
    if "enum" in schema:
        words = [word for word in schema["enum"] if word is not None]
        ends = " | None" if None in schema["enum"] else ""
        return f"Literal[{', '.join(repr(word) for word in words)}]{ends}"
    kinds = schema.get("type", "any")
    listed = kinds if isinstance(kinds, list) else [kinds]
    return " | ".join(_plain_hint(kind, schema, prefix) for kind in listed)


def _plain_hint(kind: str, schema: Document, prefix: str) -> str:
    if kind == "array":
        return f"list[{_hint(schema.get('items', {}), prefix)}]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"dict[str, {_hint(more, prefix) if isinstance(more, dict) and more else 'Any'}]"
    return _KINDS.get(kind, "Any")


def _referred(schema: Document) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _method(path: str, method: str, operation: Document, schemas: Document) -> str:
    """The method for an operation, and one that goes through all pages if its replies are pages."""
    given = _Arguments(operation, schemas)
    hint, key = _returned(operation, schemas)
    name = operation["operationId"]
    address = re.sub(r"\{(\w+)\}", r"{quote(\1, safe='')}", path)
    call = ", ".join([repr(method.upper()), ("f" if "{" in address else "") + f'"{address}"', *given.passed])
    end = f'["{key}"]' if key else ""
    if hint == "None":
        body = f"        self._call({call})\n"
    else:
        body = f"        reply: {hint} = self._call({call}){end}\n        return reply\n"
    text = f"    def {name}({given.declared}) -> {hint}:\n{_docstring(operation)}{body}"
    listed = _listed(operation, schemas)
    return text if listed is None else f"{text}\n{_every(name, given, *listed)}"


def _every(name: str, given: _Arguments, key: str, hint: str) -> str:
    declared = re.sub(r", (limit|offset|cursor): [^=]*= UNSET", "", given.declared)
    declared = "self" if declared == "self, *" else declared
    named = ["limit=200", "cursor=cursor", *(f"{one}={one}" for one in given.names - {"limit", "offset", "cursor"})]
    return (
        f"    def iterate_{name.removeprefix('list_')}({declared}) -> Iterator[{hint}]:\n"
        f'        """All that {name} finds, page by page."""\n'
        f"        cursor: str | None = None\n"
        f"        while True:\n"
        f"            page = self.{name}({', '.join(sorted(named))})\n"
        f'            yield from page["{key}"]\n'
        f'            cursor = page["nextCursor"]\n'
        f"            if cursor is None:\n"
        f"                return\n"
    )


class _Arguments:
    """declared: how the method takes them. passed: how they go to the transport. names: those of the keywords."""

    def __init__(self, operation: Document, schemas: Document) -> None:
        places: dict[str, list[str]] = {"query": [], "header": []}
        self.names: set[str] = set()
        positional: list[str] = []
        needed: list[str] = []
        free: list[str] = []
        for parameter in operation["parameters"]:
            own = _python_name(parameter["name"])
            if parameter["in"] == "path":
                positional.append(f"{own}: str")
                continue
            places[parameter["in"]].append(f'"{parameter["name"]}": {own}')
            free.append(f"{own}: {_optional(parameter['schema'])}")
            self.names.add(own)
        content = operation.get("requestBody", {}).get("content", {})
        fields: list[str] = []
        if "application/json" in content:
            schema = schemas[_referred(content["application/json"]["schema"])]
            for field, part in schema["properties"].items():
                own = _python_name(field)
                fields.append(f'"{field}": {own}')
                is_needed = field in schema.get("required", [])
                (needed if is_needed else free).append(
                    f"{own}: {_hint(part, 't.')}" if is_needed else f"{own}: {_optional(part)}"
                )
        elif content:
            needed.append("content: bytes")
        keywords = [*needed, *free]
        self.declared = ", ".join(["self", *positional, *(["*"] if keywords else []), *keywords])
        self.passed = [f"{where}={{{', '.join(places[kind])}}}" for kind, where in _PLACES if places[kind]]
        if fields or "application/json" in content:
            self.passed.append(f"body={{{', '.join(fields)}}}")
        elif content:
            self.passed.append("body=content")


_PLACES = (("query", "query"), ("header", "headers"))


def _optional(schema: Document) -> str:
    return f"{_hint(schema, 't.')} | Unset = UNSET"


def _python_name(name: str) -> str:
    spelt = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).replace("-", "_").lower()
    return f"{spelt}_" if keyword.iskeyword(spelt) else spelt


def _reply_schema(operation: Document) -> Document | None:
    for status, reply in operation["responses"].items():
        if status != "default" and "application/json" in reply.get("content", {}):
            schema: Document = reply["content"]["application/json"]["schema"]
            return schema
    return None


def _returned(operation: Document, schemas: Document) -> tuple[str, str | None]:
    """The type of what the method returns, and the key of the reply where it stands; None for the reply itself."""
    schema = _reply_schema(operation)
    if schema is None:
        return ("None" if "204" in operation["responses"] else "bytes"), None
    if "$ref" not in schema:
        return _hint(schema, "t."), None
    properties = schemas[_referred(schema)].get("properties", {})
    if len(properties) == 1:
        ((key, part),) = properties.items()
        if "$ref" in part:
            return _hint(part, "t."), key
    return _hint(schema, "t."), None


def _listed(operation: Document, schemas: Document) -> tuple[str, str] | None:
    """The key and the type of the entries of a page; None if the replies are no pages."""
    schema = _reply_schema(operation)
    properties = {} if schema is None or "$ref" not in schema else schemas[_referred(schema)].get("properties", {})
    if "nextCursor" not in properties:
        return None
    key, part = next((name, one) for name, one in properties.items() if one.get("type") == "array")
    return key, _hint(part["items"], "t.")


def _docstring(operation: Document) -> str:
    said = f"{operation['summary']}.\n\n{operation.get('description', _NO_WORDS)}".replace("\\", "\\\\")
    parts = [textwrap.fill(part, 110) for part in said.replace('"""', "'''").split("\n\n")]
    return textwrap.indent(f'"""{(chr(10) * 2).join(parts)}\n"""\n', "        ", lambda line: bool(line.strip()))
