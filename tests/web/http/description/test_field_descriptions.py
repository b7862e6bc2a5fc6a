"""Every field of the API's description says what it is, unless it is a schema of its own."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from web.http.description.field_descriptions import EVERYWHERE, family, written_descriptions


@pytest.fixture
def described(plain_app: Flask) -> list[tuple[str, str, dict[str, Any]]]:
    """The name of a schema, that of a field, and what is said of it."""
    document = plain_app.test_client().get("/api/openapi.json").get_json()
    return [
        (name, field, said)
        for name, schema in document["components"]["schemas"].items()
        for field, said in schema.get("properties", {}).items()
    ]


def _is_schema(said: dict[str, Any]) -> bool:
    """Whether the field is another schema, or a list of such, which says itself what it is."""
    parts = [said, said.get("items", {}), *said.get("anyOf", ())]
    return any("$ref" in part for part in parts)


@pytest.mark.slow
def test_every_field_is_described(described: list[tuple[str, str, dict[str, Any]]]) -> None:
    silent = [f"{name}.{field}" for name, field, said in described if not (_is_schema(said) or said.get("description"))]

    assert silent == [], "say what they are in the docstring of the schema or in web/api/fields.toml"
    assert len(described) > 1000


@pytest.mark.slow
def test_all_written_words_are_of_a_field(described: list[tuple[str, str, dict[str, Any]]]) -> None:
    for table, words in written_descriptions().items():
        known = {field for name, field, _said in described if table == EVERYWHERE or table in family(name)}
        assert sorted(words.keys() - known) == [], table
    said = {one.get("description") for _name, _field, one in described}
    assert [field for field, words in written_descriptions()[EVERYWHERE].items() if words not in said] == []
