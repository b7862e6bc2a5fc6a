"""Fails a transaction of the product that changes what a list of tasks shows and records no event in the project.

The number of a project's newest event is the version of its tasks (common/services/people/project_roles.py): without an
event, clients with an ETag would go on showing what was before. The numbers of tasks in each state are counted on from
the events of new tasks and of changed states (common/services/tasks/task_counts.py).
"""

from __future__ import annotations

import re
import sys
from types import FrameType
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session

from common import transaction
from common.events.catalogue import TaskCreated, TaskStatusChanged
from common.jobs.outbox import Outbox
from common.models.task import Task
from tests.sent_statements import recording_statements

_SHOWN = (
    "project_id", "title", "description", "state_", "phase_", "round", "priority", "assigned_agent_id", "branch_name",
    "head_sha", "pr_number", "pr_url", "preview_url", "error", "labels", "rolled_back_at", "parked_code",
    "parked_reason", "parked_until",
)  # fmt: skip
_COLUMNS = {inspect(Task).attrs[name].columns[0].name for name in _SHOWN}
_ANY = "any project"
_WRITES = re.compile(r"\s*(?:INSERT INTO|UPDATE) tasks\b(.*?)(?:\bWHERE\b|$)", re.DOTALL)
_changed: WeakKeyDictionary[Outbox, set[str]] = WeakKeyDictionary()
"""The projects whose tasks an open transaction has changed."""
_moved: WeakKeyDictionary[Outbox, dict[str, str]] = WeakKeyDictionary()
"""The ids of tasks to which an open transaction has given another state, and that state."""
_created: WeakSet[Outbox] = WeakSet()
"""Of open transactions that have inserted tasks."""


def watch() -> None:
    """Watch all transactions of this process. Repeating it changes nothing."""
    if Outbox.write is not _write_checked:
        event.listen(Session, "before_flush", _note_changes)
        _noting.__enter__()
        Outbox.write = _write_checked  # type: ignore[method-assign]


def _note_changes(session: Session, _context: object, _instances: object) -> None:
    changed = {row.project_id for row in session.new if isinstance(row, Task)}
    for row in session.dirty:
        if isinstance(row, Task) and any(inspect(row).attrs[name].history.has_changes() for name in _SHOWN):
            changed.add(row.project_id)
        opened = transaction._open.get()
        if opened is not None and isinstance(row, Task) and inspect(row).attrs["state_"].history.has_changes():
            _moved.setdefault(opened.outbox, {})[row.id] = row.state_
    _note(changed)


_noting = recording_statements(lambda sql, parameters, many: _note_statement(sql))
"""Held, as it ends when nobody does."""


def _note_statement(sql: str) -> None:
    written = _WRITES.match(sql)
    if written is not None and _COLUMNS & set(re.findall(r"\w+", written[1])):
        _note({_ANY})
    opened = transaction._open.get()
    if opened is not None and sql.startswith("INSERT INTO tasks "):
        _created.add(opened.outbox)


def _note(projects: set[str]) -> None:
    opened = transaction._open.get()
    if opened is not None and projects:
        _changed.setdefault(opened.outbox, set()).update(projects)


_write = Outbox.write


def _write_checked(self: Outbox) -> None:
    _write(self)
    changed, moved, has_created = _changed.pop(self, set()), _moved.pop(self, {}), self in _created
    _created.discard(self)
    if not changed or _is_of_tests(sys._getframe()):
        return
    states = {one.task_id: one.new_state for one in self._events if isinstance(one, TaskStatusChanged)}
    if untold := {task_id: state for task_id, state in moved.items() if states.get(task_id) != state}:
        raise AssertionError(f"tasks have another state, and no event says so: {untold}")
    if has_created and not any(isinstance(one, TaskCreated) for one in self._events):
        raise AssertionError("a task was created, and no event says so")
    told = {recorded.feed for recorded in self._events}
    silent = changed - told - {_ANY}
    if silent or not told:
        raise AssertionError(f"tasks of {silent or 'a project'} were changed without an event in its feed")


def _is_of_tests(frame: FrameType | None) -> bool:
    """Whether a helper of the tests opened the transaction, to bring about what long work would have led to."""
    is_of_tests = False
    while frame is not None:
        if frame.f_code.co_filename == transaction.__file__ and "function" in frame.f_locals:
            is_of_tests = str(frame.f_locals["function"].__module__).startswith("tests")
        frame = frame.f_back
    return is_of_tests
