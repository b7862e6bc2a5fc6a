"""Records who pushed what, for the audit log and to decide who may approve a task.

A push to the default branch or to a task's branch is stored before git starts, so that none is missing if a process
dies. The job project.watch_repository later finds out whether it landed. Pushes to other branches are not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, func, or_, select

from common.events.catalogue import BranchPushed
from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.jobs.outbox import acting
from common.models.project import Project, Push
from common.models.task import Task
from common.services.requests.access import Caller
from common.transaction import Transaction, transactional
from common.values.states import ProjectState

LONGEST_PUSH = timedelta(hours=2)
"""After this time a push counts as over, even if `end_pushes` was never called."""


BRANCHES_AT_ONCE = 500
"""Of how many branches the tasks are looked for at once."""


@dataclass(frozen=True)
class NewPush:
    """branch: without `refs/heads/`. old_sha: None if the branch did not exist."""

    branch: str
    old_sha: str | None
    new_sha: str


@dataclass(frozen=True)
class PendingPush:
    """A push that may or may not have landed. is_default: to the default branch. is_at_forge: made at the forge."""

    id: str
    branch: str
    new_sha: str
    username: str
    is_default: bool
    is_at_forge: bool


@transactional
def note_pushes(tx: Transaction, project_id: str, pushes: Sequence[NewPush], *, by: Caller) -> list[str]:
    """Store the relevant pushes before git receives them. Returns their ids, for `end_pushes`."""
    project = tx.get(Project, project_id)
    tasks = _tasks_by_branch(tx, project, [push.branch for push in pushes])
    noted = [_note(tx, project, push, tasks, user_id=by.user_id, username=by.name) for push in pushes]
    found = [row.id for row in noted if row is not None]
    if found:
        # If this process dies, the job finds out what became of the pushes.
        tx.enqueue(catalogue.WATCH_REPOSITORY, project_id, project_id=project_id, after_seconds=60)
    return found


@transactional
def note_push_at_forge(tx: Transaction, project_id: str, push: NewPush, *, login: str) -> None:
    """Store a push that was made at the forge. login: the pusher, as the forge reports it. Safe to repeat."""
    project = tx.get(Project, project_id)
    known = select(Push).where(
        Push.project_id == project_id, Push.branch == push.branch, Push.new_sha == push.new_sha, Push.username == login
    )
    if project.state is ProjectState.ACTIVE and tx.find(known) is None:
        row = _note(tx, project, push, _tasks_by_branch(tx, project, [push.branch]), user_id=None, username=login)
        if row is not None:
            row.ended_at = tx.now()


def _tasks_by_branch(tx: Transaction, project: Project, branches: Sequence[str]) -> dict[str, str]:
    """Branch → id of the task whose it is. A push may name thousands of branches, and others wait to write."""
    found: dict[str, str] = {}
    for start in range(0, len(branches), BRANCHES_AT_ONCE):
        some = branches[start : start + BRANCHES_AT_ONCE]
        query = select(Task.branch_name, Task.id).where(Task.project_id == project.id, Task.branch_name.in_(some))
        found |= dict(tx.session.execute(query).all())
    return found


def _note(
    tx: Transaction, project: Project, push: NewPush, tasks: Mapping[str, str], *, user_id: str | None, username: str
) -> Push | None:
    task_id = tasks.get(push.branch)
    if task_id is None and push.branch != project.default_branch:
        return None
    return tx.add(
        Push(
            project_id=project.id, task_id=task_id, branch=push.branch, old_sha=push.old_sha, new_sha=push.new_sha,
            user_id=user_id, username=username[:140], at=tx.now(), ended_at=None, settled_at=None,
        )
    )  # fmt: skip


@transactional
def end_pushes(tx: Transaction, project_id: str, ids: Sequence[str]) -> None:
    """Git is done with the pushes: enqueue the job that checks whether they landed. Safe to repeat."""
    for row in tx.all(select(Push).where(Push.id.in_(ids))):
        row.ended_at = row.ended_at or tx.now()
    tx.enqueue(catalogue.WATCH_REPOSITORY, project_id, project_id=project_id)


def pending_pushes(tx: Transaction, project_id: str) -> tuple[PendingPush, ...]:
    rows = tx.all(
        select(Push).where(Push.project_id == project_id, Push.settled_at.is_(None)).order_by(Push.at, Push.id)
    )
    return tuple(
        PendingPush(row.id, row.branch, row.new_sha, row.username, row.task_id is None, row.user_id is None)
        for row in rows
    )


def settle_push(lease: Lease, push: PendingPush, *, has_landed: bool) -> None:
    """If the push landed, record its event, with the pusher as author. If it is over and did not, delete it.

    Safe to repeat.
    """
    with acting(push.username):
        _settle(lease, push.id, has_landed)


@transactional
def _settle(tx: Transaction, lease: Lease, push_id: str, has_landed: bool) -> None:
    tx.hold(lease)
    row = tx.session.get(Push, push_id)
    if row is None or row.settled_at is not None:
        return
    if has_landed:
        row.settled_at = tx.now()
        tx.record(
            BranchPushed(
                feed=row.project_id, subject_task_id=row.task_id, project_id=row.project_id, branch=row.branch,
                new_sha=row.new_sha, old_sha=row.old_sha, task_id=row.task_id,
            )
        )  # fmt: skip
    elif row.ended_at is not None or row.at < tx.now() - LONGEST_PUSH:
        tx.session.delete(row)


def has_pushed(tx: Transaction, task_id: str, by: Caller) -> bool:
    """Whether the caller ever pushed to the task's branch, or is pushing now. A login at the forge with the same name
    counts as the caller.
    """
    return tx.find(select(Push).where(Push.task_id == task_id, is_push_of(by))) is not None


def is_push_of(by: Caller) -> ColumnElement[bool]:
    """Query condition on Push: the caller pushed, by the rule of `has_pushed`."""
    name = func.lower(Push.username) == by.username.lower()
    return or_(Push.user_id == by.user_id, Push.user_id.is_(None) & name)
