"""What was spent so far, by task, project and platform, as running totals: a cap is compared with them at each call.

They are raised in the transaction that stores what was spent, so each call and run is counted once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, cast

from sqlalchemy import BindParameter, ClauseElement, ColumnElement, Table, and_, bindparam, or_, select, update
from sqlalchemy.dialects import mysql, sqlite

from common.database import engines
from common.database.compiled_statements import Statement
from common.models.spend import SpendCounter
from common.transaction import Snapshot, Transaction
from common.values.states import Outcome

ALL = "all"
TASK, PROJECT, PLATFORM = "task", "project", "platform"
LONGEST_HEARTBEAT_GAP = timedelta(seconds=60)
"""A run that no heartbeat has named for longer is not known to be at work: the machine may be off."""


class Key(NamedTuple):
    """Whose total. subject_id: empty for the platform. period: ALL, or a day (UTC) such as `2026-01-31`."""

    scope: str
    subject_id: str
    period: str


@dataclass(frozen=True)
class Spent:
    """tokens: input, cache writes and output. seconds, runs: of runs that were claimed; seconds of those that ended."""

    tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0
    runs: int = 0

    def __add__(self, more: Spent) -> Spent:
        return Spent(
            self.tokens + more.tokens, self.cost_usd + more.cost_usd, self.seconds + more.seconds,
            self.runs + more.runs,
        )  # fmt: skip


@dataclass(frozen=True)
class Counter:
    """warned: the caps of which people were warned that most is used."""

    spent: Spent = Spent()
    warned: tuple[str, ...] = ()


def keys_of(task_id: str, project_id: str, day: date) -> tuple[Key, ...]:
    """The totals that something belongs to which a task spent on that day."""
    today = day.isoformat()
    return (
        Key(TASK, task_id, ALL), Key(PROJECT, project_id, ALL), Key(PROJECT, project_id, today),
        Key(PLATFORM, "", ALL), Key(PLATFORM, "", today),
    )  # fmt: skip


def raise_counters(tx: Transaction, added: Iterable[tuple[str, str, date, Spent]]) -> None:
    """Add what tasks spent: (task, project, day, what). The counters are locked in one order until the commit."""
    sums: dict[Key, Spent] = {}
    for task_id, project_id, day, spent in added:
        for key in keys_of(task_id, project_id, day):
            sums[key] = sums.get(key, Spent()) + spent
    _add(tx, sums)


def lock_counter(tx: Transaction, key: Key) -> Counter:
    """The counter, locked until the commit; it is stored if it was not there."""
    _add(tx, {key: Spent()})
    return read_counters(tx, [key])[key]


def _add(tx: Transaction, sums: Mapping[Key, Spent]) -> None:
    if not sums:
        return
    tx.session.flush()
    _RAISE.run_each(
        tx.connection,
        [
            {
                "scope": key.scope, "subject_id": key.subject_id, "period": key.period, "tokens": spent.tokens,
                "cost_usd": spent.cost_usd, "seconds": spent.seconds, "runs": spent.runs, "warned": [],
            }
            for key, spent in sorted(sums.items())
        ],
    )  # fmt: skip


def _raise() -> ClauseElement:
    """Inserts a counter, or adds to the one that is there."""
    table = cast("Table", SpendCounter.__table__)
    values: dict[str, BindParameter[object]] = {name: bindparam(name) for name in table.columns.keys()}  # noqa: SIM118
    names = ("tokens", "cost_usd", "seconds", "runs")
    if engines.is_sqlite():
        insert = sqlite.insert(table).values(values)
        raised: dict[str, object] = {name: table.c[name] + insert.excluded[name] for name in names}
        return insert.on_conflict_do_update(index_elements=["scope", "subject_id", "period"], set_=raised)
    insert_mysql = mysql.insert(table).values(values)
    raised = {name: table.c[name] + insert_mysql.inserted[name] for name in names}
    return insert_mysql.on_duplicate_key_update(raised)


_RAISE = Statement(_raise)


def read_counters(at: Snapshot | Transaction, keys: Collection[Key]) -> dict[Key, Counter]:
    """The totals as they are stored now; zero where there is none."""
    if not keys:
        return {}
    columns = (
        SpendCounter.scope, SpendCounter.subject_id, SpendCounter.period, SpendCounter.tokens, SpendCounter.cost_usd,
        SpendCounter.seconds, SpendCounter.runs, SpendCounter.warned,
    )  # fmt: skip
    rows = at.session.execute(select(*columns).where(or_(*map(_is, sorted(set(keys))))))
    found = {Key(row[0], row[1], row[2]): Counter(Spent(row[3], row[4], row[5], row[6]), tuple(row[7])) for row in rows}
    return {key: found.get(key, Counter()) for key in keys}


def note_warned(tx: Transaction, key: Key, warned: Iterable[str]) -> None:
    """Remember for which caps people were warned. The counter is locked."""
    tx.session.execute(update(SpendCounter).where(_is(key)).values(warned=list(warned)))


def _is(key: Key) -> ColumnElement[bool]:
    scope, subject_id, period = key
    return and_(
        SpendCounter.scope == scope, SpendCounter.subject_id == subject_id, SpendCounter.period == period
    )  # fmt: skip


def end_of_work(outcome: str | None, seen_at: datetime, finished_at: datetime | None, now: datetime) -> datetime:
    """Until when a run that was claimed has been at work: a lost one until it was last heard of, one that lives or was
    ended by others than its agent for LONGEST_HEARTBEAT_GAP after that at most.

    outcome, finished_at: None while it lives. seen_at: when it was last heard of.
    """
    if finished_at is None or outcome == Outcome.CANCELLED:
        return min(finished_at or now, seen_at + LONGEST_HEARTBEAT_GAP)
    return min(finished_at, seen_at) if outcome == Outcome.LOST else finished_at


def seconds_by_day(since: datetime, until: datetime) -> Mapping[date, float]:
    """How many seconds of the time between the two lie in each day (UTC)."""
    days: dict[date, float] = {}
    start = since.astimezone(UTC)
    while start < until:
        end = min(until, datetime.combine(start.date() + timedelta(days=1), time(), UTC))
        days[start.date()] = (end - start).total_seconds()
        start = end
    return days
