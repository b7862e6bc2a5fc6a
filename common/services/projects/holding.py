"""Projects whose runs can't be prepared: they say why, and wait, so that no agent is kept by them.

A hold ends by itself: after it one task at a time is tried, and the first run that can be prepared lifts it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import ColumnElement, or_, select

from common.events import ProjectStatusChanged
from common.models.project import Project
from common.states import ProjectState
from common.transaction import Transaction

HOLD_SECONDS = 30
"""The first hold; each further one in a row is twice as long."""
LONGEST_HOLD_SECONDS = 300
PROBE_SECONDS = 60
"""How long the one run that tries whether a project can start again keeps its other tasks waiting, at most."""


def hold(tx: Transaction, project: Project, reason: str) -> None:
    """No task of the project, which is locked, starts for a while; the project says why."""
    project.holds += 1
    seconds = min(HOLD_SECONDS * 2.0 ** min(project.holds - 1, 10), LONGEST_HOLD_SECONDS)
    project.held_until = tx.now() + timedelta(seconds=seconds)
    if project.state is ProjectState.ACTIVE:
        _say(tx, project, f"no task can start: {reason}"[:2000])


def lift(tx: Transaction, project: Project) -> None:
    """A run of the project, which is locked, could be prepared."""
    project.holds, project.held_until = 0, None
    if project.state is ProjectState.ACTIVE:
        _say(tx, project, None)


def _say(tx: Transaction, project: Project, error: str | None) -> None:
    if project.error != error:
        project.error = error
        tx.record(
            ProjectStatusChanged(
                feed=project.id, project_id=project.id, old_status=project.state, new_status=project.state
            )
        )


def is_open(tx: Transaction) -> ColumnElement[bool]:
    """The condition of a query: the project is not held now."""
    return or_(Project.held_until.is_(None), Project.held_until <= tx.now())


def probe(tx: Transaction, project_ids: Iterable[str]) -> None:
    """Of those projects that were held, one task is about to be tried: the others wait. Locks those projects."""
    held = select(Project.id).where(Project.id.in_(list(project_ids)), Project.holds > 0)
    for project in tx.lock_all(Project, tx.session.scalars(held).all()):
        project.held_until = tx.now() + timedelta(seconds=PROBE_SECONDS)
