"""Fails a transaction of the product that changes what a list of tasks shows and records no event in the project.

The number of a project's newest event is the version of its tasks (common/services/people/standing.py): without an
event, clients with an ETag would go on showing what was before.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import ORMExecuteState, Session

from common import transaction
from common.models.task import Task

_SHOWN = (
    "project_id", "title", "description", "state_", "phase_", "round", "priority", "assigned_agent_id", "branch_name",
    "head_sha", "pr_number", "pr_url", "preview_url", "error", "labels", "rolled_back_at", "parked_code",
    "parked_reason", "parked_until",
)  # fmt: skip
_ANY = "any project"


def watch() -> None:
    """Watch all sessions of this process."""
    event.listen(Session, "before_flush", _note_changes)
    event.listen(Session, "do_orm_execute", _note_statement)
    event.listen(Session, "before_commit", _check)


def _note_changes(session: Session, _context: object, _instances: object) -> None:
    for row in session.dirty:
        if isinstance(row, Task) and any(inspect(row).attrs[name].history.has_changes() for name in _SHOWN):
            session.info.setdefault("changed tasks in", set()).add(row.project_id)
    session.info.setdefault("changed tasks in", set()).update(
        row.project_id for row in session.new if isinstance(row, Task)
    )


def _note_statement(state: ORMExecuteState) -> None:
    mapper = state.bind_mapper
    if (state.is_update or state.is_insert) and mapper is not None and mapper.class_ is Task:
        state.session.info.setdefault("changed tasks in", set()).add(_ANY)


def _check(session: Session) -> None:
    session.flush()
    changed: set[str] = session.info.pop("changed tasks in", set())
    opened: Any = transaction._open.get()
    if not changed or opened is None or _is_of_tests(sys._getframe()):
        return
    told = {recorded.feed for recorded in opened.outbox._events}
    silent = changed - told - {_ANY}
    if silent or not told:
        raise AssertionError(f"tasks of {silent or 'a project'} were changed without an event in its feed")


def _is_of_tests(frame: FrameType | None) -> bool:
    """Whether a helper of the tests opened the transaction, to bring about what long work would have led to."""
    is_of_tests = False
    while frame is not None:
        if frame.f_code.co_name == "run" and frame.f_code.co_filename == transaction.__file__:
            is_of_tests = str(frame.f_locals["function"].__module__).startswith("tests")
        frame = frame.f_back
    return is_of_tests
