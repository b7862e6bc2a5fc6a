"""Holds projects whose runs can't be prepared, so that their tasks occupy no agents. The project shows the reason.

A hold ends by itself. After it, one task at a time is tried, and the first run that can be prepared clears the hold. A
project is held, too, while its repository can't be read; that hold is cleared as soon as it can be. held_until is None
unless the project is held or waits for the run that clears the hold; holds is 0 if no run has failed.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from common.events.catalogue import ProjectStatusChanged
from common.jobs import catalogue
from common.machine.waiting import growing_delay
from common.models.journal import Job
from common.models.project import Project
from common.transaction import Transaction
from common.values.states import JobState, ProjectState

HOLD_SECONDS = 30
"""The first hold; each further one in a row is twice as long."""
LONGEST_HOLD_SECONDS = 300
UNREADABLE_SECONDS = 60
"""The hold of a project whose repository can't be read. While work is watched, the next look comes after 30 s."""
PROBE_SECONDS = 60
"""How long a project's other tasks wait, at most, for the one run that tests whether runs can be prepared again."""


def hold_project(tx: Transaction, project: Project, reason: str) -> None:
    """Start no task of the project, which is locked, for some time, and store the reason as its error."""
    project.holds += 1
    seconds = growing_delay(project.holds, first_seconds=HOLD_SECONDS, longest_seconds=LONGEST_HOLD_SECONDS)
    project.held_until = tx.now() + timedelta(seconds=seconds)
    _set_reason(tx, project, reason)


def hold_project_without_access(tx: Transaction, project: Project, reason: str) -> None:
    """Start no task of the project, which is locked, as its repository can't be read. Stores the reason as its error.

    Does not end or shorten a hold by runs that could not be prepared.
    """
    until = tx.now() + timedelta(seconds=UNREADABLE_SECONDS)
    project.held_until = until if project.held_until is None else max(project.held_until, until)
    _set_reason(tx, project, reason)


def release_readable(tx: Transaction, project: Project) -> None:
    """End a hold of the project, which is locked, by `hold_project_without_access`: its repository can be read.

    A hold by runs that could not be prepared stays, as they need more than that.
    """
    if not project.holds:
        release_project(tx, project)


def release_project(tx: Transaction, project: Project) -> None:
    """End the hold of the project, which is locked: a run of it could be prepared."""
    project.holds, project.held_until = 0, None
    if project.state is ProjectState.ACTIVE:
        refused = _last_refusal(tx, project)
        _set_error(tx, project, None if refused is None else _unprotected(refused))


def _last_refusal(tx: Transaction, project: Project) -> str | None:
    """Why the last job that was to set the project's branch rules failed; None if it did not fail."""
    asked = select(Job).where(Job.subject_id == project.id, Job.kind == catalogue.PROTECT_PROJECT.name)
    last = tx.find(asked.order_by(Job.created_at.desc(), Job.id.desc()).limit(1))
    return last.error if last is not None and last.state is JobState.FAILED else None


def note_unprotected(tx: Transaction, project: Project, reason: str) -> None:
    """Store why the forge refuses the branch rules of the project, which is locked.

    The reason of a hold goes first; this one is shown after it.
    """
    if project.state is ProjectState.ACTIVE and project.held_until is None:
        _set_error(tx, project, _unprotected(reason[:1800]))


def note_protected(tx: Transaction, project: Project) -> None:
    """The forge has the branch rules of the project, which is locked."""
    if project.state is ProjectState.ACTIVE and (project.error or "").startswith(_unprotected("").partition(":")[0]):
        _set_error(tx, project, None)


def _unprotected(reason: str) -> str:
    return (
        f"the branch rules are not those of its settings: {reason}; retry the job project.protect once that is solved"
    )


def _set_reason(tx: Transaction, project: Project, reason: str) -> None:
    if project.state is ProjectState.ACTIVE:
        _set_error(tx, project, f"no task can start: {reason}"[:2000])


def _set_error(tx: Transaction, project: Project, error: str | None) -> None:
    if project.error != error:
        project.error = error
        tx.record(
            ProjectStatusChanged(
                feed=project.id, project_id=project.id, old_status=project.state, new_status=project.state
            )
        )


def begin_probe(tx: Transaction, project: Project) -> None:
    """Keep the other tasks of the project, which was held and is locked, waiting while one of them is tried."""
    project.held_until = tx.now() + timedelta(seconds=PROBE_SECONDS)
