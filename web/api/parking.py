"""Why a task is parked, as the API says it."""

from __future__ import annotations

from marshmallow import fields

from common.values.runs.parking import Parked
from web.http.fields import Choice, Schema, Timestamp


class ParkedSchema(Schema):
    """Why a task waits. until: when it goes on by itself; null: once the reason is gone."""

    code = Choice([str(code) for code in Parked])
    reason = fields.String()
    until = Timestamp(allow_none=True)
