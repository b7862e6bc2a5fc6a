"""Pictures of a task's preview and of what people use without its change, which belong to one proven commit.

They prove nothing: no check waits for them, and none fails without them. A push voids them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select

from common.errors import NotFound
from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models.delivery import Deployment
from common.models.project import Project
from common.models.task import PreviewPicture, Task
from common.services.lifecycle.task_states import record_update
from common.services.project_settings.project_resources import app_of, location_of
from common.services.requests.access import Caller
from common.services.upkeep.purging import purge
from common.settings import settings
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.delivery.app import App
from common.values.delivery.project_location import ProjectLocation
from common.values.delivery.pull_request import PullPicture
from common.values.states import Environment, Role, TaskState

BEFORE, AFTER = "before", "after"
PICTURED = (TaskState.READY_TO_TEST, TaskState.APPROVED)
"""States in which a task's preview shows its proven commit."""
LONGEST_PROBLEM = 500


@dataclass(frozen=True)
class PictureTarget:
    """What to take a picture of. commit_sha: the commit that runs there."""

    kind: str
    app: App
    commit_sha: str
    url: str


@dataclass(frozen=True)
class NewPicture:
    """content: a PNG of this width and height; None: there is none, because of `problem`, one sentence."""

    kind: str
    pictured_sha: str
    width: int
    height: int
    content: bytes | None = field(default=None, repr=False)
    problem: str | None = None


@dataclass(frozen=True)
class PicturePlan:
    """Input of `task.pictures`. targets: take pictures of them first; empty: they are taken, or there is nothing to
    see.

    commit_sha: the commit that the pictures belong to; None: the pull request is to show none. pr_number: None if there
    is no pull request that could show them. branch: whose it is.
    """

    location: ProjectLocation
    branch: str
    commit_sha: str | None
    targets: tuple[PictureTarget, ...] = ()
    pr_number: int | None = None
    pictures: tuple[PullPicture, ...] = ()


@dataclass(frozen=True)
class StoredPicture:
    picture: PreviewPicture
    content: bytes = field(repr=False)


@transactional
def begin_pictures(tx: Transaction, lease: Lease) -> PicturePlan | None:
    """What to do next for the task's pictures; None: nothing."""
    task = tx.session.get(Task, lease.subject_id)
    if task is None:
        return None
    location = location_of(tx.get(Project, task.project_id))
    rows = [row for row in list_rows(tx, task.id) if row.commit_sha == task.head_sha]
    if not rows and (targets := _targets(tx, task, location)):
        return PicturePlan(location, task.branch_name, task.head_sha, targets)
    if task.pr_number is None or settings().forge.kind == "local" or (rows and rows[0].shown_at is not None):
        return None
    shown = rows[0].commit_sha if rows else None
    return PicturePlan(location, task.branch_name, shown, pr_number=task.pr_number, pictures=_of_pull_request(tx, rows))


def _targets(tx: Transaction, task: Task, location: ProjectLocation) -> tuple[PictureTarget, ...]:
    """The preview of the task's commit, and production or else staging, before it. Empty without such a preview."""
    serving = (
        select(Deployment)
        .where(Deployment.project_id == task.project_id, Deployment.live_key.is_not(None), Deployment.url.is_not(None))
        .order_by(Deployment.created_at.desc(), Deployment.id.desc())
    )
    of_task = Deployment.task_id == task.id, Deployment.commit_sha == task.head_sha
    preview = tx.find(serving.where(Deployment.environment_ == Environment.PREVIEW, *of_task))
    if preview is None or task.state not in PICTURED:
        return ()
    names = (Environment.PRODUCTION, Environment.STAGING)
    places = [tx.find(serving.where(Deployment.environment_ == environment)) for environment in names]
    before = next(filter(None, places), None)
    found = ((BEFORE, before), (AFTER, preview))
    return tuple(_target(kind, location, one) for kind, one in found if one is not None)


def _target(kind: str, location: ProjectLocation, deployment: Deployment) -> PictureTarget:
    return PictureTarget(kind, app_of(location, deployment.app_name), deployment.commit_sha, deployment.url or "")


def _of_pull_request(tx: Transaction, rows: Sequence[PreviewPicture]) -> tuple[PullPicture, ...]:
    titles = {BEFORE: "Before", AFTER: "After"}
    return tuple(
        PullPicture(f"{row.kind}.png", titles[row.kind], content)
        for row in rows
        if (content := tx.session.scalar(select(PreviewPicture.content).where(PreviewPicture.id == row.id)))
    )


@transactional
def record_pictures(tx: Transaction, lease: Lease, commit_sha: str, pictures: Sequence[NewPicture]) -> None:
    """Store the pictures, in place of older ones. Nothing happens if the task is at another commit by now."""
    task = tx.lock(Task, lease.subject_id)
    if task.state in PICTURED and task.head_sha == commit_sha:
        _delete(tx, list_rows(tx, task.id))
        for one in pictures:
            tx.add(
                PreviewPicture(
                    task_id=task.id, kind=one.kind, commit_sha=commit_sha, pictured_sha=one.pictured_sha,
                    width=one.width, height=one.height, size_bytes=len(one.content or b""), content=one.content,
                    problem=one.problem and one.problem[:LONGEST_PROBLEM], taken_at=tx.now(),
                )
            )  # fmt: skip
        record_update(tx, task, "pictures")
    tx.again(lease, after_seconds=0)


@transactional
def record_shown(tx: Transaction, lease: Lease, commit_sha: str | None) -> None:
    """The pull request shows the pictures of this commit, or none."""
    tx.lock(Task, lease.subject_id)
    for row in list_rows(tx, lease.subject_id):
        if row.commit_sha == commit_sha:
            row.shown_at = tx.now()
    tx.finish(lease)


def void_pictures(tx: Transaction, task: Task, *, keep: str | None = None) -> None:
    """Delete the task's pictures, also from its pull request, unless they belong to the commit `keep`. Safe to repeat.

    The task is locked.
    """
    old = [row for row in list_rows(tx, task.id) if row.commit_sha != keep]
    if old:
        _delete(tx, old)
        record_update(tx, task, "pictures")
        tx.enqueue(catalogue.TAKE_PICTURES, task.id, project_id=task.project_id)


def _delete(tx: Transaction, rows: Sequence[PreviewPicture]) -> None:
    for row in rows:
        tx.session.delete(row)
    tx.session.flush()


def list_rows(at: Snapshot | Transaction, task_id: str) -> Sequence[PreviewPicture]:
    """The task's pictures without their content, `before` first."""
    rows = at.all(select(PreviewPicture).where(PreviewPicture.task_id == task_id))
    return sorted(rows, key=lambda row: row.kind, reverse=True)


def read_picture(task_id: str, picture_id: str, *, by: Caller) -> StoredPicture:
    """The picture's PNG. NotFound for one that is not there, also where only `problem` is."""
    with snapshot() as read:
        task = read.get(Task, task_id)
        if task is None:
            raise NotFound(f"task {task_id}")
        by.require_in(read, task.project_id, Role.VIEWER)
        row = read.get(PreviewPicture, picture_id)
        content = read.session.scalar(select(PreviewPicture.content).where(PreviewPicture.id == picture_id))
        if row is None or row.task_id != task_id or not content:
            raise NotFound(f"picture {picture_id}")
        return StoredPicture(row, content)


def purge_pictures() -> int:
    """Delete pictures that were taken before AIWORKER_KEEP_DAYS. Returns how many. Safe to repeat."""
    with snapshot() as read:
        old = read.now() - timedelta(days=settings().retention.preview_days)
    return purge(PreviewPicture.id, PreviewPicture.taken_at < old, order=PreviewPicture.taken_at)
