"""Replies written by their schema, in less than half of the time of marshmallow's dump and to the same result.

What a field does is looked up once for a schema, not once for a value. A field or schema with behaviour of its own
(hooks, another class) is left to marshmallow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import marshmallow as ma
from marshmallow import fields

from web.http import fields as own_fields
from web.http.fields import iso

Write = Callable[[Any], Any]

_TEXTS = {
    fields.String, own_fields.Text, own_fields.Line, own_fields.Name, own_fields.Choice, own_fields.Id,
    own_fields.AgentId, own_fields.QuestionId, own_fields.Url, own_fields.Quantity,
}  # fmt: skip
_NUMBERS = {fields.Integer, own_fields.Integer}


def writer_of(schema: ma.Schema) -> Write:
    """Turns one object, with attributes or keys, into what `schema.dump` makes of it; what it lacks is left out."""
    if _has_hooks(schema):
        return schema.dump
    plan = [_step(name, field) for name, field in schema.dump_fields.items()]

    def write(value: Any) -> dict[str, Any]:
        written: dict[str, Any] = {}
        is_mapping = isinstance(value, dict)
        for key, attribute, convert, field in plan:
            if convert is None:
                found = field.serialize(attribute, value, accessor=schema.get_attribute)
            else:
                found = value.get(attribute, ma.missing) if is_mapping else getattr(value, attribute, ma.missing)
                found = found if found is None or found is ma.missing else convert(found)
            if found is not ma.missing:
                written[key] = found
        return written

    return write


def _step(name: str, field: fields.Field[Any]) -> tuple[str, str, Write | None, fields.Field[Any]]:
    """The key, the attribute, and the conversion of what is not None; no conversion: marshmallow does it all."""
    key = field.data_key if field.data_key is not None else name
    attribute = field.attribute or name
    is_plain = field.dump_default is ma.missing and "." not in attribute
    convert = _conversion(field) if is_plain else None
    return key, attribute if convert is not None else name, convert, field


def _conversion(field: fields.Field[Any]) -> Write | None:
    kind = type(field)
    if kind in _TEXTS:
        return _text
    if kind in _NUMBERS:
        return int
    if kind is own_fields.Timestamp:
        return iso
    if kind is own_fields.Label:
        return lambda value: field.of(value).label  # type: ignore[attr-defined]
    if kind is fields.Nested and not _is_special(field):
        return writer_of(field.schema)  # type: ignore[attr-defined]
    if kind is fields.List:
        return _each(field.inner)  # type: ignore[attr-defined]
    return None


def _each(inner: fields.Field[Any]) -> Write | None:
    convert = _conversion(inner)
    if convert is None:
        return None
    return lambda values: [None if value is None else convert(value) for value in values]


def _is_special(field: Any) -> bool:
    return bool(field.many or field.only or field.exclude or field.schema.many)


def _has_hooks(schema: Any) -> bool:
    return bool(schema._hooks.get("pre_dump") or schema._hooks.get("post_dump"))


def _text(value: Any) -> str:
    return value if type(value) is str else str(value)
