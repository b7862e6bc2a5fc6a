"""The tasks of one project as a list shows them: columns instead of entities, in one statement.

For the list that clients ask for most. All other lists, and those with a text or a label, are in board.py.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import and_, bindparam, func, or_, select, type_coerce
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from common.database import engines
from common.database.compiled_statements import AnySelect, IsoTime, Statement, StoredText
from common.database.compiled_statements import Row as Row
from common.errors import Busy
from common.models.task import Task
from common.services.requests.paging import Page, PageQuery, decode_cursor, encode_cursor
from common.services.tasks.board import TaskFilter
from common.services.tasks.task_counts import count_by_state
from common.values.states import Priority

_CONDITIONS = {
    "state": Task.state_,
    "assigned_agent_id": Task.assigned_agent_id,
    "priority": Task.priority,
    "created_by_id": Task.created_by_id,
}


COLUMNS = (
    Task.id, Task.project_id, Task.title, Task.description, Task.state_, Task.phase_, Task.parked_code, Task.round,
    Task.priority, Task.assigned_agent_id, Task.branch_name, Task.head_sha, Task.pr_number, Task.pr_url,
    Task.preview_url, Task.error, type_coerce(Task.labels, StoredText), type_coerce(Task.created_at, IsoTime),
    type_coerce(Task.rolled_back_at, IsoTime), Task.parked_reason, type_coerce(Task.parked_until, IsoTime),
)  # fmt: skip
"""What a row of such a list holds: labels as JSON text, times as text, the priority as a number."""
_ID, _CREATED_AT = 0, 17


def list_project_tasks(wanted: TaskFilter, page: PageQuery) -> Page[Row]:
    """A page of a project's tasks, newest first, as rows of COLUMNS. The caller has checked that it may be seen.

    wanted: with a project_id, and neither q nor label.
    """
    values: dict[str, object] = {name: getattr(wanted, name) for name in _CONDITIONS}
    if wanted.priority is not None:
        values["priority"] = int(Priority.of(wanted.priority))
    values = {name: value for name, value in values.items() if value is not None}
    names = frozenset(values)
    values["project_id"] = wanted.project_id
    window: dict[str, object] = {"most": page.limit + 1, "offset": page.offset}
    if page.cursor is not None:
        before, before_id = decode_cursor(page.cursor)
        window = {"most": page.limit + 1, "offset": 0, "before": before, "before_id": before_id}
    try:
        rows = _rows(names, page.cursor is not None).read(**values, **window)
        # Counted last: a task that is added in between is then no row without a place in the total.
        total = _total(names, values)
    except PoolTimeoutError as error:
        raise Busy("all database connections are in use") from error
    except DBAPIError as error:
        engines.raise_busy(error)
        raise
    cursor = None
    if len(rows) > page.limit:
        last = rows[page.limit - 1]
        cursor = encode_cursor(datetime.fromisoformat(last[_CREATED_AT]), last[_ID])
    return Page(rows[: page.limit], total, page.limit, page.offset, cursor)


def _total(names: frozenset[str], values: Mapping[str, object]) -> int:
    if names <= {"state"}:
        by_state = count_by_state(str(values["project_id"]), Statement.read)
        return by_state.get(str(values["state"]), 0) if names else sum(by_state.values())
    return int(_count(names).read(**values)[0][0])


@functools.cache
def _rows(names: frozenset[str], has_cursor: bool) -> Statement:
    """The statement for lists with these conditions."""

    def make() -> AnySelect:
        query = _chosen(select(*COLUMNS), names).order_by(Task.created_at.desc(), Task.id.desc())
        if has_cursor:
            earlier = or_(Task.created_at < bindparam("before"), Task.id < bindparam("before_id"))
            query = query.where(and_(Task.created_at <= bindparam("before"), earlier))
        return query.limit(bindparam("most")).offset(bindparam("offset"))

    return Statement(make)


@functools.cache
def _count(names: frozenset[str]) -> Statement:
    return Statement(lambda: _chosen(select(func.count()).select_from(Task), names))


def _chosen(query: AnySelect, names: frozenset[str]) -> AnySelect:
    query = query.where(Task.project_id == bindparam("project_id"))
    for name in sorted(names):
        query = query.where(_CONDITIONS[name] == bindparam(name))
    return query
