"""What the API's description says of schemas and of each of their fields, in words.

A schema's docstring begins with what it is, and then says of its fields what their names do not: `commitSha: the head
of the default branch whose tests fail. since, until: …`. What many schemas have in common is in web/api/fields.toml, so
is what a name says to those alone who know it.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from marshmallow import Schema as AnySchema

from web.http.description.document import Document
from web.http.fields import Schema
from web.http.sparse_schema import SparseSchema

WRITTEN = Path(__file__).parents[2] / "api" / "fields.toml"
EVERYWHERE = "everywhere"
"""The table with the words of names that mean the same in all schemas."""
_FORM = re.compile(r"^(?:Create|Update|Written|Listed)|Details$")
"""What the names of schemas of the same thing differ in."""
_WORD = re.compile(r"[a-z]+('[a-z]+)?(?= (?!or )|$)")
_PLAIN = (Schema, SparseSchema, AnySchema, object)


@functools.cache
def written_descriptions() -> dict[str, dict[str, str]]:
    """For the name of a schema, or EVERYWHERE, the words of fields."""
    words: dict[str, dict[str, str]] = tomllib.loads(WRITTEN.read_text("utf-8"))
    return words


def add_descriptions(schemas: Document, classes: Mapping[str, type[AnySchema]]) -> None:
    """Give each field its description, and each schema that has one; a field that is another schema needs none.

    schemas: of the API's description, changed in place. classes: those that they were made from, by name.
    """
    said = {name: docstrings_of(found, schemas[name].get("properties", {})) for name, found in classes.items()}
    for name, schema in schemas.items():
        about, _words = said.get(name, ("", {}))
        if about:
            schema.setdefault("description", about)
        for field, described in schema.get("properties", {}).items():
            words = _words_of(name, field, said)
            if words is not None and "$ref" not in described:
                described.setdefault("description", words)


def family(name: str) -> tuple[str, str]:
    """The schemas that tell of this one's fields: itself, and the plain one of the same thing."""
    return name, _FORM.sub("", name)


def _words_of(name: str, field: str, said: Mapping[str, tuple[str, Mapping[str, str]]]) -> str | None:
    for other in family(name):
        _about, words = said.get(other, ("", {}))
        found = written_descriptions().get(other, {}).get(field) or words.get(field)
        if found is not None:
            return found
    return written_descriptions()[EVERYWHERE].get(field)


def docstrings_of(found: type[AnySchema], fields: Iterable[str]) -> tuple[str, dict[str, str]]:
    """What the docstrings of a schema and of those that it extends say: of itself, and of fields."""
    name = "(?:" + "|".join(map(re.escape, fields)) + ")"
    begins = re.compile(rf"(?:(?<=^)|(?<=[.;] )|(?<=\n))({name}(?:, {name})*): ")
    words: dict[str, str] = {}
    for each in found.__mro__:
        if each in _PLAIN or each.__doc__ is None:
            continue
        _about, *parts = begins.split(_joined(each.__doc__))
        for names, text in zip(parts[::2], parts[1::2], strict=True):
            for one in names.split(", "):
                words.setdefault(one, _sentence(text))
    own = begins.split(_joined(found.__doc__ or ""))[0] if "__doc__" in vars(found) else ""
    return own.strip(), words


def _joined(text: str) -> str:
    """Each paragraph in one line."""
    return "\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _sentence(text: str) -> str:
    """As a sentence of its own; a value or another field's name that it begins with stays as it is."""
    text = text.strip().rstrip(".;")
    begins = f"{text[:1].upper()}{text[1:]}" if _WORD.match(text) else text
    return f"{begins}."
