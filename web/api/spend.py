"""What model calls cost: by day, project, person, driver or model, as JSON or CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, time, timedelta

from flask import request
from marshmallow import fields

from common.services.spend import totals
from common.services.spend.totals import Spend, SpendBy
from common.values.states import Role
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, query, reply
from web.http.fields import Choice, Id, Schema, Timestamp
from web.http.replies import Verbatim

spend = Blueprint("spend", __name__, url_prefix="/api")

_CSV = "text/csv"
_COLUMNS = (
    "key", "label", "calls", "failed_calls", "unpriced_calls", "input_tokens", "cached_tokens", "cache_write_tokens",
    "output_tokens", "tokens", "cost_usd", "runs", "tasks", "minutes",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula: also the wide forms of Asian keyboards."""


class DayOrTime(Timestamp):
    """A day in UTC, or a time with a zone. is_end: a day stands for its end, else for its beginning."""

    default_error_messages = {"invalid": "Must be a day such as 2026-01-31, or a time in ISO 8601 with a zone"}  # noqa: RUF012

    def __init__(self, *, is_end: bool, data_key: str) -> None:
        super().__init__(load_default=None, data_key=data_key)
        self._is_end = is_end

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> datetime:
        if isinstance(value, str) and len(value) == len("2026-01-31"):
            try:
                day = date.fromisoformat(value) + timedelta(days=int(self._is_end))
            except (ValueError, OverflowError) as error:
                raise self.make_error("invalid") from error
            return datetime.combine(day, time(), UTC)
        return super()._deserialize(value, attr, data, **kwargs)


class SpendQuerySchema(Schema):
    by = Choice(SpendBy, load_default=str(SpendBy.DAY))
    project_id = Id(load_default=None)
    since = DayOrTime(is_end=False, data_key="from")
    until = DayOrTime(is_end=True, data_key="to")
    split = Choice([str(one) for one in SpendBy if one is not SpendBy.DAY], load_default=None)
    format = Choice(("json", "csv"), load_default=None)


class SpendGroupSchema(Schema):
    """key: a day, a project's id, a user name, a driver or a model. inputTokens: without those read from a cache
    (cachedTokens) or written to it (cacheWriteTokens); tokens: all of them with outputTokens. costUsd: of the calls
    with a known price; unpricedCalls used tokens without one. minutes: how long the calls took, added up.
    """

    key = fields.String()
    label = fields.String()
    calls = fields.Integer()
    failed_calls = fields.Integer()
    unpriced_calls = fields.Integer()
    input_tokens = fields.Integer()
    cached_tokens = fields.Integer()
    cache_write_tokens = fields.Integer()
    output_tokens = fields.Integer()
    tokens = fields.Integer()
    cost_usd = fields.Float()
    runs = fields.Integer()
    tasks = fields.Integer()
    minutes = fields.Float()


class SpendPartSchema(SpendGroupSchema):
    """The same of one day and one project, person, driver or model. day: in UTC."""

    day = fields.String()


class TaskSpendSchema(Schema):
    """What a task has used so far. minutes: how long its runs were at work. runs: without those never claimed.

    costUsd: of the calls whose model has a known price; unpricedCalls: the others.
    """

    tokens = fields.Integer()
    input_tokens = fields.Integer()
    output_tokens = fields.Integer()
    cached_tokens = fields.Integer()
    cost_usd = fields.Float()
    unpriced_calls = fields.Integer()
    minutes = fields.Float()
    runs = fields.Integer()


class SpendSchema(Schema):
    """from: inclusive; to: exclusive. isCut: there were too many groups or parts, the cheapest are left out; not in
    total. split: null, or what each day's calls are grouped by in `parts`.
    """

    by = Choice(SpendBy)
    since = Timestamp(data_key="from")
    until = Timestamp(data_key="to")
    groups = fields.List(fields.Nested(SpendGroupSchema))
    total = fields.Nested(SpendGroupSchema)
    is_cut = fields.Boolean()
    split = Choice(SpendBy, allow_none=True)
    parts = fields.List(fields.Nested(SpendPartSchema))


@spend.get("/spend")
@allow(Role.VIEWER)
@query(SpendQuerySchema)
@reply(SpendSchema, also=(_CSV,))
def read_spend(
    by: str,
    project_id: str | None,
    since: datetime | None,
    until: datetime | None,
    split: str | None,
    format: str | None,  # noqa: A002
) -> object:
    """The calls of models in the projects that the caller may see: of the last 30 days, if `from` is not given. With
    `by=day`, `split` groups the calls of each day once more. As CSV with `format=csv` or `Accept: text/csv`: a line
    for each group, or with `split` for each part of a day.
    """
    found = totals.read_spend(
        SpendBy(by), caller=current_caller(), project_id=project_id, since=since, until=until,
        split=None if split is None else SpendBy(split),
    )  # fmt: skip
    wanted = request.accept_mimetypes.best_match(["application/json", _CSV], default="application/json")
    if format == "csv" or (format is None and wanted == _CSV):
        return Verbatim(_as_csv(found), f"{_CSV}; charset=utf-8; header=present")
    return found


def _as_csv(found: Spend) -> bytes:
    """A line of names, then one for each group, or for each part of a day. No cell begins a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    if found.split is None:
        writer.writerow([str(found.by), *_COLUMNS[1:]])
        writer.writerows([_cell(getattr(group, name)) for name in _COLUMNS] for group in found.groups)
    else:
        writer.writerow(["day", str(found.split), *_COLUMNS[1:]])
        writer.writerows([_cell(getattr(part, name)) for name in ("day", *_COLUMNS)] for part in found.parts)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
