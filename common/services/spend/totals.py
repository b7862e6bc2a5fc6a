"""What was spent: by day, project, person, driver or model, and for each task. Counted from the recorded calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import cast

from sqlalchemy import ColumnElement, RowMapping, case, func, select
from sqlalchemy.orm import InstrumentedAttribute

from common.errors import Invalid
from common.models.project import Project
from common.models.run import Run
from common.models.spend import ModelCall
from common.services.caps.spend_counters import end_of_work
from common.services.requests.access import Caller, visible_projects
from common.services.spend.model_calls import ESTIMATED
from common.transaction import Snapshot, Transaction, snapshot
from common.values.states import Role

USUAL_DAYS = 30
"""The length of the period if only its end is given, or nothing."""
MOST_DAYS = 400
_FIRST_MOMENT = datetime.min.replace(tzinfo=UTC)
MOST_GROUPS = 1000
"""Most groups in one answer: those with the highest cost."""
MOST_PARTS = 5000
"""Most parts of days in one answer: those with the highest cost."""


class SpendBy(StrEnum):
    """What calls are grouped by."""

    DAY = "day"
    PROJECT = "project"
    PERSON = "person"
    DRIVER = "driver"
    MODEL = "model"


@dataclass(frozen=True)
class SpendGroup:
    """The calls of a group. key: a date, a project's id, a user name, a driver or a model; empty for runs without a
    driver. label: for people. input_tokens: without those read from a cache (cached) or written to it (cache_write).

    tokens: all of these and output. cost_usd: of the calls with a known price; unpriced_calls used tokens without one.
    failed_calls: calls without a whole answer. minutes: how long calls took, added up.
    """

    key: str
    label: str
    calls: int
    failed_calls: int
    unpriced_calls: int
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    cost_usd: float
    runs: int
    tasks: int
    minutes: float

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.cached_tokens + self.cache_write_tokens + self.output_tokens


@dataclass(frozen=True)
class SpendPart(SpendGroup):
    """The calls of a group on one day. day: in UTC, such as `2026-01-31`."""

    day: str


@dataclass(frozen=True)
class Spend:
    """since is inclusive, until exclusive. split and parts: each day's calls, grouped once more, by day and key; None
    and empty unless it was asked for.

    is_cut: there are more groups than MOST_GROUPS, or more parts than MOST_PARTS; total has all of them.
    """

    by: SpendBy
    since: datetime
    until: datetime
    groups: list[SpendGroup]
    total: SpendGroup
    is_cut: bool
    split: SpendBy | None = None
    parts: list[SpendPart] = field(default_factory=list)


@dataclass(frozen=True)
class TaskSpend:
    """What a task has used so far. minutes: how long its runs were at work. runs: without those never claimed."""

    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0
    unpriced_calls: int = 0
    minutes: float = 0.0
    runs: int = 0


def read_spend(
    by: SpendBy,
    *,
    caller: Caller,
    project_id: str | None = None,
    since: datetime | None,
    until: datetime | None,
    split: SpendBy | None = None,
) -> Spend:
    """The calls of the period in the projects that the caller may see; of one project if project_id is given.

    since: None: USUAL_DAYS before `until`. until: None: now. split: what each day's calls are grouped by, too; by has
    to be the day. Invalid for wrong values, NotFound for a project that the caller may not see.
    """
    if split is not None and (by is not SpendBy.DAY or split is SpendBy.DAY):
        raise Invalid("split", "Splits the figures of days by something else: use it with by=day")
    with snapshot() as read:
        until = until or read.now()
        # Less where the calendar begins later than that.
        since = since or until - min(timedelta(days=USUAL_DAYS), until - _FIRST_MOMENT)
        if not since < until:
            raise Invalid("from", "Must be before `to`")
        if until - since > timedelta(days=MOST_DAYS):
            raise Invalid("from", f"Must be at most {MOST_DAYS} days before `to`")
        chosen: list[ColumnElement[bool]] = [ModelCall.at >= since, ModelCall.at < until]
        if project_id is not None:
            caller.require_in(read, project_id, Role.VIEWER)
            chosen.append(ModelCall.project_id == project_id)
        elif not caller.is_admin:
            chosen.append(ModelCall.project_id.in_(visible_projects(caller)))
        key = _key(by)
        order = (key,) if by is SpendBy.DAY else (func.sum(func.coalesce(ModelCall.cost_usd, 0.0)).desc(), key)
        grouped = select(key.label("key"), *_sums()).where(*chosen).group_by(key).order_by(*order)
        rows = read.session.execute(grouped.limit(MOST_GROUPS + 1)).mappings().all()
        total = read.session.execute(select(*_sums()).where(*chosen)).mappings().one()
        # A day comes as text from SQLite, and as a date from MariaDB.
        keys = [str(row["key"]) for row in rows]
        labels = _labels(read, keys) if by is SpendBy.PROJECT else {}
        parts = [] if split is None else _parts(read, split, chosen)
    groups = [_group(row, key, labels.get(key, key)) for key, row in zip(keys[:MOST_GROUPS], rows, strict=False)]
    is_cut = len(rows) > MOST_GROUPS or len(parts) > MOST_PARTS
    parts = sorted(parts[:MOST_PARTS], key=lambda part: (part.day, part.key))
    return Spend(by, since, until, groups, _group(total, "total", "Total"), is_cut, split, parts)


def _parts(read: Snapshot, split: SpendBy, chosen: list[ColumnElement[bool]]) -> list[SpendPart]:
    """The calls by day and `split`, the most expensive first; one more than MOST_PARTS if there are more."""
    day, key = _key(SpendBy.DAY), _key(split)
    order = (func.sum(func.coalesce(ModelCall.cost_usd, 0.0)).desc(), day, key)
    query = select(day.label("day"), key.label("key"), *_sums()).where(*chosen).group_by(day, key).order_by(*order)
    rows = read.session.execute(query.limit(MOST_PARTS + 1)).mappings().all()
    labels = _labels(read, list({str(row["key"]) for row in rows})) if split is SpendBy.PROJECT else {}
    return [
        SpendPart(**vars(_group(row, str(row["key"]), labels.get(row["key"], str(row["key"])))), day=str(row["day"]))
        for row in rows
    ]


def spent_by_tasks(at: Snapshot | Transaction, task_ids: Collection[str]) -> dict[str, TaskSpend]:
    """What each of the tasks has used: two queries for all of them. Tasks without a run have an empty TaskSpend."""
    if not task_ids:
        return {}
    of_tasks = ModelCall.task_id
    query = select(of_tasks.label("key"), *_sums()).where(of_tasks.in_(task_ids)).group_by(of_tasks)
    sums = {str(row["key"]): _group(row, str(row["key"]), "") for row in at.session.execute(query).mappings()}
    runs: dict[str, list[float]] = {}
    now = at.now()
    times = select(Run.task_id, Run.started_at, Run.outcome, Run.seen_at, Run.finished_at).where(
        Run.task_id.in_(task_ids), Run.started_at.is_not(None)
    )
    for task_id, started_at, outcome, seen_at, finished_at in at.session.execute(times):
        ended_at = end_of_work(outcome, seen_at, finished_at, now)
        seconds = (ended_at - cast("datetime", started_at)).total_seconds()
        runs.setdefault(task_id, []).append(max(0.0, seconds))
    return {task_id: _task_spend(sums.get(task_id), runs.get(task_id, [])) for task_id in task_ids}


def _task_spend(sums: SpendGroup | None, seconds: list[float]) -> TaskSpend:
    minutes = round(sum(seconds) / 60, 2)
    if sums is None:
        return TaskSpend(minutes=minutes, runs=len(seconds))
    return TaskSpend(
        tokens=sums.tokens, input_tokens=sums.input_tokens + sums.cache_write_tokens, output_tokens=sums.output_tokens,
        cached_tokens=sums.cached_tokens, cost_usd=sums.cost_usd, unpriced_calls=sums.unpriced_calls, minutes=minutes,
        runs=len(seconds),
    )  # fmt: skip


def _key(by: SpendBy) -> ColumnElement[str] | InstrumentedAttribute[str]:
    if by is SpendBy.DAY:
        return func.date(ModelCall.at)
    if by is SpendBy.DRIVER:
        return func.coalesce(ModelCall.driver, "")
    columns = {SpendBy.PROJECT: ModelCall.project_id, SpendBy.PERSON: ModelCall.person, SpendBy.MODEL: ModelCall.model}
    return columns[by]


def _sums() -> list[ColumnElement[int] | ColumnElement[float]]:
    """The sums of calls, as `_group` reads them."""
    used = ModelCall.input_tokens + ModelCall.cached_tokens + ModelCall.cache_write_tokens + ModelCall.output_tokens
    columns: Mapping[str, ColumnElement[int] | ColumnElement[float]] = {
        "calls": func.count(ModelCall.id),
        "failed_calls": func.sum(case((ModelCall.error != ESTIMATED, 1), else_=0)),
        "unpriced_calls": func.sum(case((ModelCall.cost_usd.is_(None) & (used > 0), 1), else_=0)),
        "input_tokens": func.sum(ModelCall.input_tokens),
        "cached_tokens": func.sum(ModelCall.cached_tokens),
        "cache_write_tokens": func.sum(ModelCall.cache_write_tokens),
        "output_tokens": func.sum(ModelCall.output_tokens),
        "cost_usd": func.sum(func.coalesce(ModelCall.cost_usd, 0.0)),
        "runs": func.count(ModelCall.run_id.distinct()),
        "tasks": func.count(ModelCall.task_id.distinct()),
        "took_ms": func.sum(ModelCall.took_ms),
    }
    return [column.label(name) for name, column in columns.items()]


def _group(row: RowMapping, key: str, label: str) -> SpendGroup:
    """Sums over no calls are NULL; MariaDB's sums of integers are Decimals."""
    names = (
        "calls", "failed_calls", "unpriced_calls", "input_tokens", "cached_tokens", "cache_write_tokens",
        "output_tokens", "runs", "tasks",
    )  # fmt: skip
    whole = {name: int(row[name] or 0) for name in names}
    minutes = round(float(row["took_ms"] or 0) / 60_000, 2)
    return SpendGroup(key=key, label=label, cost_usd=float(row["cost_usd"] or 0), minutes=minutes, **whole)


def _labels(read: Snapshot, project_ids: list[str]) -> dict[str, str]:
    return dict(read.session.execute(select(Project.id, Project.name).where(Project.id.in_(project_ids))).all())
