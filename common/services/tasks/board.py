"""The list of tasks by what is asked of them, and a project's board: its tasks by state, with what their cards say."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Select, Text, func, or_, select, type_coerce

from common.database import engines
from common.machine.text import lower_letters
from common.models.run import LogEntry, Run
from common.models.task import Question, Task, TaskCheck, TaskDependency, asker
from common.services.changes.overlaps import Overlap, read_overlaps
from common.services.requests.access import Caller, projects_seen, sees_all
from common.services.requests.listing import page_seen
from common.services.requests.paging import Page, PageQuery, page_of
from common.services.spend.totals import spent_by_tasks
from common.services.tasks import word_search
from common.services.tasks.task_counts import count_by_state
from common.transaction import Snapshot, snapshot
from common.values.states import DELIVERABLE, Priority, QuestionState, Role, TaskState

WITH_CARDS = frozenset(TaskState) - {TaskState.PRODUCTION, TaskState.CANCELLED}
"""Of tasks in the other states, nothing more than the task itself is shown."""

STEPS = ("plan", "text", "tool")
"""Kinds of transcript entries that say what an agent is doing."""

_END_OF_ID = re.compile(r"[0-9a-f]{4,12}")
LONGEST_STEP = 200
LONGEST_QUESTION = 300


@dataclass(frozen=True)
class TaskFilter:
    """None: whatever it is. q: a part of the title, in either case, or the last 4 to 12 digits of the id; without
    project_id the beginnings of words of the title (see word_search). label: one of its labels. created_by_id: a user.
    """

    project_id: str | None = None
    state: str | None = None
    assigned_agent_id: str | None = None
    priority: str | None = None
    q: str | None = None
    label: str | None = None
    created_by_id: str | None = None


@dataclass(frozen=True)
class Card:
    """What a card says besides its task. question: the oldest open one; None: there is none. asked_by: see Question.
    step: what its agent did last; None unless one is at work. checks: of the newest run that was checked: the number in
    each status. waits_for: the titles of the tasks that have to be approved before it starts. overlaps: open tasks that
    change the same files. cost_usd: of all its runs.
    """

    task_id: str
    question: str | None = None
    asked_by: str | None = None
    step: str | None = None
    cost_usd: float = 0.0
    checks: Mapping[str, int] = field(default_factory=dict)
    waits_for: Sequence[str] = ()
    overlaps: Sequence[Overlap] = ()


@dataclass(frozen=True)
class Column:
    """The newest tasks in one state. total, next_cursor: as in Page."""

    state: str
    tasks: Sequence[Task]
    total: int
    next_cursor: str | None = None


@dataclass(frozen=True)
class Board:
    """columns: of every state, in their usual order. cards: of the tasks in columns that have one."""

    columns: Sequence[Column]
    cards: Sequence[Card]


def list_tasks(wanted: TaskFilter, page: PageQuery, *, by: Caller) -> Page[Task]:
    """The tasks of the projects that the caller may see, newest first."""
    with snapshot() as read:
        if not wanted.q or wanted.project_id is not None:
            return page_seen(read, _query(wanted), word_search.ORDER, page, by=by, project_id=wanted.project_id)
        seen = projects_seen(read, by)
        found = word_search.find_by_words(read, wanted.q, _conditions(wanted), page, seen)
        if seen is None and not sees_all(read, by):
            # Somebody restricted a project while the list was being read: it may be in it.
            seen = projects_seen(read, by)
            return word_search.find_by_words(read, wanted.q, _conditions(wanted), page, seen)
        return found


def read_board(wanted: TaskFilter, page: PageQuery, *, by: Caller) -> Board:
    """The tasks of a project, the first page of every state. NotFound if the caller may not see it."""
    with snapshot() as read:
        project = by.require_in(read, wanted.project_id, Role.VIEWER)
        query = _query(wanted).where(Task.project_id == project.id)
        if wanted == TaskFilter(project_id=project.id):
            counts = count_by_state(project.id, read.rows)
        else:
            grouped = query.with_only_columns(Task.state_, func.count()).group_by(Task.state_)
            counts = {str(state): int(count) for state, count in read.session.execute(grouped)}
        columns = [_column(read, query, state, counts.get(state, 0), page.limit) for state in TaskState]
        return Board(columns, _cards(read, [task for column in columns for task in column.tasks]))


def _query(wanted: TaskFilter) -> Select[Task]:
    """The tasks that are asked for, of any project."""
    query = select(Task).where(*_conditions(wanted))
    return query.where(_names(lower_letters(wanted.q))) if wanted.q else query


def _conditions(wanted: TaskFilter) -> list[ColumnElement[bool]]:
    """What is asked but for the project and the text."""
    conditions: list[ColumnElement[bool]] = []
    for column, value in (
        (Task.state_, wanted.state),
        (Task.assigned_agent_id, wanted.assigned_agent_id),
        (Task.priority, None if wanted.priority is None else int(Priority.of(wanted.priority))),
        (Task.created_by_id, wanted.created_by_id),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.label is not None:
        conditions.append(_has_label(wanted.label))
    return conditions


def _names(text: str) -> ColumnElement[bool]:
    """Whether a task's title contains the text, or its short id is or ends with it."""
    in_title = engines.lower(Task.title).contains(text, autoescape=True)
    return or_(in_title, Task.id.endswith(text)) if _END_OF_ID.fullmatch(text) else in_title


def _has_label(label: str) -> ColumnElement[bool]:
    """The labels are stored as JSON, whose text MySQL writes without escapes."""
    stored = type_coerce(Task.labels, Text)
    forms = {json.dumps(label), json.dumps(label, ensure_ascii=False)}
    # With what stands before a label: without it, a quotation mark within another one would do for its beginning.
    places = [f"{before}{form}" for form in sorted(forms) for before in ("[", ", ")]
    return or_(*(func.instr(stored, place) > 0 for place in places))


def _column(read: Snapshot, query: Select[Task], state: TaskState, total: int, limit: int) -> Column:
    if not total:
        return Column(state, (), 0)
    found = page_of(read, query.where(Task.state_ == state), Task.created_at, Task.id, PageQuery(limit), total)
    return Column(state, found.items, total, found.next_cursor)


def _cards(read: Snapshot, tasks: Sequence[Task]) -> list[Card]:
    ids = [task.id for task in tasks if task.state in WITH_CARDS]
    if not ids:
        return []
    overlaps = read_overlaps(read, tasks[0].project_id)
    spent = spent_by_tasks(read, ids)
    questions, steps, checks, waits_for = (
        _questions(read, ids),
        _steps(read, [task.id for task in tasks if task.state is TaskState.IN_PROGRESS]),
        _checks(read, ids),
        _waits_for(read, [task.id for task in tasks if task.state is TaskState.BACKLOG]),
    )
    return [
        Card(
            task_id, question, asked_by, steps.get(task_id), spent[task_id].cost_usd, checks.get(task_id, {}),
            waits_for.get(task_id, ()), overlaps.get(task_id, ()),
        )
        for task_id in ids
        for question, asked_by in [questions.get(task_id, (None, None))]
    ]  # fmt: skip


def _questions(read: Snapshot, task_ids: Iterable[str]) -> dict[str, tuple[str, str | None]]:
    """The oldest open question of each task, and who asks it."""
    query = (
        select(Question.task_id, func.substr(Question.question, 1, LONGEST_QUESTION), Question.run_id)
        .where(Question.task_id.in_(task_ids), Question.state == QuestionState.PENDING)
        .order_by(Question.asked_at.desc(), Question.id.desc())
    )
    return {task_id: (str(question), asker(run_id)) for task_id, question, run_id in read.session.execute(query)}


def _steps(read: Snapshot, task_ids: Sequence[str]) -> dict[str, str]:
    if not task_ids:
        return {}
    newest = (
        select(func.max(LogEntry.id))
        .join(Run, Run.id == LogEntry.run_id)
        .where(Run.live_task_id.in_(task_ids), LogEntry.kind.in_(STEPS))
        .group_by(LogEntry.run_id)
    )
    query = (
        select(Run.task_id, func.substr(LogEntry.message, 1, LONGEST_STEP))
        .join(Run, Run.id == LogEntry.run_id)
        .where(LogEntry.id.in_(list(read.session.scalars(newest))))
    )
    return {task_id: str(step) for task_id, step in read.session.execute(query)}


def _checks(read: Snapshot, task_ids: Iterable[str]) -> dict[str, Mapping[str, int]]:
    query = (
        select(TaskCheck.task_id, TaskCheck.run_id, TaskCheck.status)
        .where(TaskCheck.task_id.in_(task_ids))
        .order_by(TaskCheck.at, TaskCheck.id)
    )
    runs: dict[str, str] = {}
    statuses: dict[str, Counter[str]] = {}
    for task_id, run_id, status in read.session.execute(query):
        runs[task_id] = run_id
        statuses.setdefault(run_id, Counter())[status] += 1
    return {task_id: statuses[run_id] for task_id, run_id in runs.items()}


def _waits_for(read: Snapshot, task_ids: Sequence[str]) -> dict[str, list[str]]:
    if not task_ids:
        return {}
    query = (
        select(TaskDependency.task_id, Task.title)
        .join(Task, Task.id == TaskDependency.depends_on_id)
        .where(TaskDependency.task_id.in_(task_ids), Task.state_.not_in(DELIVERABLE))
        .order_by(Task.id)
    )
    found: dict[str, list[str]] = {}
    for task_id, title in read.session.execute(query):
        found.setdefault(task_id, []).append(title)
    return found
