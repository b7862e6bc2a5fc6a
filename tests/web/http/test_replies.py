"""The fast way of writing replies makes what marshmallow makes."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import marshmallow as ma
import pytest
from marshmallow import fields

from common.states import Priority, Role, TaskState
from web.http.fields import Boolean, Choice, Id, Integer, Itself, Label, Schema, Timestamp
from web.http.replies import writer_of


class Part(Schema):
    name = fields.String()
    at = Timestamp()


class Hooked(Schema):
    name = fields.String()

    @ma.post_dump
    def _shout(self, dumped: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        return {key: value.upper() for key, value in dumped.items()}


class Thing(Schema):
    some_id = Id()
    state = Choice(TaskState)
    priority = Label(Priority)
    role = Label(Role)
    count = Integer()
    is_on = Boolean()
    plain_flag = fields.Boolean()
    amount = fields.Float()
    created_at = Timestamp()
    labels = fields.List(fields.String())
    free = fields.Dict()
    raw = fields.Raw()
    part = fields.Nested(Part)
    parts = fields.List(fields.Nested(Part))
    many_parts = fields.Nested(Part, many=True)
    hooked = fields.Nested(Hooked)
    named_otherwise = fields.String(attribute="inner_name")
    deep = fields.String(attribute="part.name")
    itself = Itself(Part)
    standing_in = fields.String(dump_default="stood in")
    left_out = fields.String()


AT = datetime(2026, 1, 19, 10, 0, 0, 5, tzinfo=UTC)
PART = {"name": "inner", "at": AT}
WHOLE: dict[str, Any] = {
    "some_id": "0190a1b2-0000-7000-8000-000000000000", "state": TaskState.BACKLOG, "priority": 3, "role": Role.ADMIN,
    "count": 5, "is_on": True, "plain_flag": False, "amount": 1.5, "created_at": AT, "labels": ["a", "b"],
    "free": {"a_b": 1}, "raw": [1, {"x": None}], "part": PART, "parts": [PART, SimpleNamespace(**PART)],
    "many_parts": [PART], "hooked": {"name": "x"}, "inner_name": "named", "name": "outer", "at": AT,
}  # fmt: skip


@pytest.mark.parametrize("value", [WHOLE, SimpleNamespace(**WHOLE), dict.fromkeys(WHOLE), {}, SimpleNamespace()])
def test_it_makes_what_marshmallow_makes(value: Any) -> None:
    if value == dict.fromkeys(WHOLE):
        value = {**value, "part": PART}  # marshmallow can't look into None for `deep`

    assert writer_of(Thing())(value) == Thing().dump(value)
