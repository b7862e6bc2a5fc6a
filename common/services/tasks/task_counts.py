"""How many tasks of a project are in each state, without reading them all each time.

Each task that is created, and each state that changes, is recorded as an event in the project's feed, by the same
transaction (tests/version_guard.py watches for that). So what this process has counted once stays right up to the
event that was the newest then, and the events after it say what has changed since.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, case, func, select, type_coerce

from common.database.compiled_statements import AnySelect, Row, Statement, StoredText
from common.events.catalogue import TaskCreated, TaskStatusChanged
from common.models.journal import EventRow, Feed
from common.models.task import Task
from common.values.states import TaskState

MOST_EVENTS = 200
"""Where more has happened since the last count, counting anew costs less in all but the largest projects."""
_MOST_PROJECTS = 1000


def _count() -> AnySelect:
    """One statement, so the numbers are of the same moment as the newest event."""
    seq = select(Feed.seq).where(Feed.id == bindparam("project")).scalar_subquery()
    newest = and_(EventRow.feed_id == bindparam("project"), EventRow.seq == seq)
    at = select(type_coerce(EventRow.at, StoredText)).where(newest).scalar_subquery()
    counted = select(seq.label("seq"), at.label("at"), Task.state_, func.count()).group_by(Task.state_)
    return counted.where(Task.project_id == bindparam("project"))


def _since() -> AnySelect:
    data = case((EventRow.name == TaskStatusChanged.name, EventRow.data))
    of_feed = and_(EventRow.feed_id == bindparam("project"), EventRow.seq >= bindparam("seq"))
    columns = (EventRow.seq, type_coerce(EventRow.at, StoredText), EventRow.name, data)
    return select(*columns).where(of_feed).order_by(EventRow.seq).limit(MOST_EVENTS + 1)


_COUNT, _SINCE = Statement(_count), Statement(_since)

Rows = Callable[..., Sequence[Row]]
"""Runs a statement with its parameters."""


@dataclass(frozen=True)
class _Counted:
    """by_state: right after the event with this number and time, the way the database stores it, and before the next.

    The time tells an event of a database that was restored from a backup from that of the same number before.
    """

    seq: int
    at: object
    by_state: Mapping[str, int]


_counted: dict[str, _Counted] = {}
"""By the project's id; the one that was counted first is forgotten first."""


def count_by_state(project_id: str, rows: Rows) -> Mapping[str, int]:
    """How many of the project's tasks are in each state, exactly; a state without tasks may be left out.

    rows: such as `Snapshot.rows`. Not that of a transaction that changes tasks: it writes its events at its end.
    """
    known = _counted.get(project_id)
    now = known and _caught_up(known, rows(_SINCE, project=project_id, seq=known.seq))
    if now is None:
        now = _counted_anew(rows(_COUNT, project=project_id))
    if now is not known and now.at is not None:
        _remember(project_id, now)
    return now.by_state


def _caught_up(known: _Counted, events: Sequence[Row]) -> _Counted | None:
    """What was counted, with what the events since then say. None: count anew.

    events: those from known.seq on, whose first shows that it is the one that was seen.
    """
    if not events or len(events) > MOST_EVENTS or events[0][:2] != (known.seq, known.at):
        return None
    if len(events) == 1:
        return known
    by_state = Counter(known.by_state)
    for _seq, _at, name, data in events[1:]:
        if name == TaskCreated.name:
            by_state[TaskState.BACKLOG] += 1
        elif name == TaskStatusChanged.name:
            change = json.loads(data)["data"]
            by_state[change["oldState"]] -= 1
            by_state[change["newState"]] += 1
    return _Counted(events[-1][0], events[-1][1], by_state)


def _counted_anew(rows: Sequence[Row]) -> _Counted:
    """rows: of _COUNT; none if the project has no tasks, and without a time if it has no events: both are not kept."""
    seq, at = rows[0][:2] if rows else (0, None)
    return _Counted(seq, at, {state: number for _seq, _at, state, number in rows})


def _remember(project_id: str, counted: _Counted) -> None:
    _counted[project_id] = counted
    if len(_counted) > _MOST_PROJECTS:
        _counted.pop(next(iter(_counted)), None)
