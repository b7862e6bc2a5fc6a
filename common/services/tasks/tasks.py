"""Creates, reads and changes tasks, and the state changes that people make: approve, reject, cancel, retry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from sqlalchemy import and_, bindparam, select

from common.database.compiled_statements import Statement
from common.errors import Conflict, Forbidden, Invalid, NotFound
from common.events.catalogue import TaskCreated
from common.jobs import catalogue
from common.jobs.outbox import actor
from common.machine.text import is_blank
from common.models.project import Project, ProjectMember
from common.models.task import Comment, Task, TaskDependency
from common.services.caps.caps import notable_caps
from common.services.changes.pushes import has_pushed
from common.services.conversation.task_edits import tell_run_at_work
from common.services.lifecycle import task_states
from common.services.lifecycle.group_states import BEFORE_STAGING, lock_with_group, take_out
from common.services.lifecycle.task_states import record_update
from common.services.requests.access import Caller
from common.services.runs import run_end
from common.services.spend.cap_settings import changed_caps
from common.services.spend.model_offers import check_model
from common.services.tasks import dependencies
from common.services.tasks.task_details import TaskParts, clone_line, read_parts
from common.telemetry.tracing import trace_parent
from common.transaction import Snapshot, Transaction, clock_to_note, snapshot, transactional
from common.values.names import new_id, task_branch
from common.values.runs.parking import Parked
from common.values.states import By, Outcome, Phase, Priority, ProjectState, Role, TaskState

AWAITS_FILES = "The files that belong to it are still being added. Add what is missing, then start it."

_WHO_BEGINS_IT = frozenset({"required_capabilities", "driver", "model", "depends_on"})
"""What decides when the task's next run begins, and with which agent. One that is at work goes on as it began."""

FOR_MAINTAINERS = frozenset({TaskState.APPROVED, TaskState.IN_PROGRESS})
"""States that only a maintainer may set, as they mean approving or rejecting."""


@dataclass(frozen=True)
class TaskView(TaskParts):
    """A task with everything that its page shows."""

    task: Task = field(kw_only=True)
    project: Project = field(kw_only=True)


class TaskChanges(TypedDict, total=False):
    """The fields of a task that people change. Absent keys are left unchanged; in caps, None removes one."""

    title: str
    description: str
    priority: Priority
    notes: str | None
    labels: list[str]
    caps: Mapping[str, float | None]
    may_change_test_setup: bool
    required_capabilities: list[str]
    driver: str | None
    model: str | None
    limits: dict[str, float]
    depends_on: list[str]
    state: str


@dataclass(frozen=True)
class NewComment:
    """path, line: None for a general comment. start_line: the first line of a range that ends at line.

    side: `new`, or `old` for the version before the change; None for a comment without a line. commit_sha: the head of
    the diff that it is written on; None: the task's verified commit. Invalid (path, line, startLine) for a place that
    is none.
    """

    body: str
    path: str | None = None
    line: int | None = None
    start_line: int | None = None
    side: str | None = None
    commit_sha: str | None = None

    def __post_init__(self) -> None:
        if self.line is not None and self.path is None:
            raise Invalid("path", "Required")
        if self.line is None and (self.start_line is not None or self.side is not None):
            raise Invalid("line", "Required")
        if self.line is not None and self.start_line is not None and self.start_line > self.line:
            raise Invalid("startLine", "Must not be after line")

    @property
    def shown_side(self) -> str | None:
        return None if self.line is None else self.side or "new"


@dataclass(frozen=True)
class NewTask:
    project_id: str
    title: str
    description: str = ""
    priority: Priority = Priority.MEDIUM
    labels: list[str] = field(default_factory=list)
    required_capabilities: list[str] = field(default_factory=list)
    depends_on: list[str] = field(default_factory=list)
    driver: str | None = None
    model: str | None = None
    limits: dict[str, float] = field(default_factory=dict)
    caps: Mapping[str, float | None] = field(default_factory=dict)
    may_change_test_setup: bool = False
    awaits_files: bool = False


@transactional
def create_task(tx: Transaction, new: NewTask, *, by: Caller) -> Task:
    """Create a task in the backlog. It starts as soon as an agent is free and its dependencies are approved.

    new.awaits_files: it is parked until `parked.resume_task`, so that the first agent gets the files added until then.
    Invalid (projectId, dependsOn) for ids that the caller may not see, and (model) for one that no provider has.
    """
    _require_place(tx, new.project_id, by)
    dependencies.check_needed(tx, new.project_id, new.depends_on)
    check_model(tx, new.model)
    task_id = new_id()
    task = tx.insert_with_next(
        Task, id=task_id, state_=TaskState.BACKLOG, project_id=new.project_id, title=new.title,
        description=new.description, priority=int(new.priority), labels=new.labels,
        required_capabilities=new.required_capabilities, driver=new.driver, model=new.model, limits=new.limits,
        caps=changed_caps({}, new.caps), branch_name=task_branch(task_id, new.title), created_by=actor(),
        created_by_id=by.user_id, edited_by_ids=[],
        created_at=tx.now(), updated_at=tx.now(), queued_at=tx.now(), trace_parent=trace_parent(),
        may_change_test_setup=new.may_change_test_setup,
        parked_code=Parked.FILES if new.awaits_files else None,
        parked_reason=AWAITS_FILES if new.awaits_files else None,
    )  # fmt: skip
    for depends_on_id in dict.fromkeys(new.depends_on):
        tx.add(TaskDependency(task_id=task_id, depends_on_id=depends_on_id))
    tx.record(
        TaskCreated(
            feed=new.project_id, subject_task_id=task_id, task_id=task_id, project_id=new.project_id, title=new.title
        )
    )
    tx.enqueue_with_next(catalogue.SCHEDULE_TASKS, "platform", project_id=None)
    return task


def read_task(task_id: str, *, by: Caller) -> TaskView:
    with snapshot() as read:
        task = read.get(Task, task_id)
        if task is None:
            raise NotFound(f"task {task_id}")
        project = by.require_in(read, task.project_id, Role.VIEWER)
        role = by.role_in(read, project) or Role.VIEWER
        return _view(read, task, project, may_write=role >= Role.MEMBER)


def _view(read: Snapshot, task: Task, project: Project, *, may_write: bool) -> TaskView:
    is_held = may_write and task.phase is Phase.HELD
    return TaskView(
        **read_parts(read, task.id),
        cap_state=notable_caps(read, task, project),
        clone_line=clone_line(task.branch_name, project.repository_url) if is_held else None,
        task=task,
        project=project,
    )


@transactional
def update_task(tx: Transaction, task_id: str, values: TaskChanges, *, by: Caller) -> Task:
    """Change the fields that values contains. A `state` has the effect of approve, reject, cancel or retry.

    A run that works on the task gets a new title or description as a message. A new driver, model or required
    capability counts from the next run on; a new driver or model ends the wait for a provider's limit. Conflict for any
    other change of state.
    """
    wanted = values.get("state")
    role = Role.MAINTAINER if wanted in FOR_MAINTAINERS else Role.MEMBER
    project = _project_of(tx, task_id, by, role)
    if "depends_on" in values:
        dependencies.lock_dependencies(tx, project.id)
    task = tx.lock(Task, task_id)
    changed = [
        name
        for name in (
            "title", "description", "priority", "notes", "labels", "may_change_test_setup",
            "required_capabilities", "driver", "model", "limits",
        )
        if name in values and values[name] != getattr(task, name)
    ]  # fmt: skip
    if "model" in changed:
        check_model(tx, values["model"])
    is_rewritten = not {"title", "description"}.isdisjoint(changed)
    if is_rewritten and by.user_id not in {task.created_by_id, *task.edited_by_ids}:
        task.edited_by_ids = [*task.edited_by_ids, by.user_id]
    for name in changed:
        setattr(task, name, int(values[name]) if name == "priority" else values[name])
    recorded: list[str] = [*changed]
    if "depends_on" in values and dependencies.change_dependencies(tx, task, values["depends_on"]):
        recorded.append("depends_on")
    if recorded:
        task.updated_at = tx.now()
        record_update(tx, task, *recorded)
    if is_rewritten:
        tell_run_at_work(tx, task)
    _look_for_an_agent(tx, task, recorded)
    if "caps" in values:
        caps = changed_caps(task.caps, values["caps"])
        if caps != task.caps:
            task.caps, task.updated_at = caps, tx.now()
            record_update(tx, task, "caps")
        tx.session.flush()
        task_states.resume_capped(tx, task_id=task.id)
    if wanted is not None and wanted != task.state_:
        _move_as_person(tx, task, TaskState(wanted), values.get("notes"), by)
    return task


def _look_for_an_agent(tx: Transaction, task: Task, recorded: Sequence[str]) -> None:
    """After these fields were changed."""
    if not _WHO_BEGINS_IT.isdisjoint(recorded):
        tx.enqueue(catalogue.SCHEDULE_TASKS, "platform", project_id=None)
    if not {"driver", "model"}.isdisjoint(recorded) and task.parked_code == Parked.LIMIT:
        # The limit is that of the provider that the last run called.
        task_states.unpark(tx, task, by=By.PERSON)


def _move_as_person(tx: Transaction, task: Task, wanted: TaskState, notes: str | None, by: Caller) -> None:
    if wanted is TaskState.APPROVED and task.state is TaskState.READY_TO_TEST:
        approve_task(task.id, by=by)
    elif wanted is TaskState.IN_PROGRESS and task.state is TaskState.READY_TO_TEST:
        said = notes or ""
        reject_task(task.id, reason="Rejected" if is_blank(said) else said, comments=(), by=by)
    elif wanted is TaskState.CANCELLED:
        cancel_task(task.id, by=by)
    elif wanted is TaskState.BACKLOG and task.state is TaskState.FAILED:
        retry_task(task.id, by=by)
    else:
        raise Conflict(f"task {task.id} is {task.state}; it can't be set to {wanted}")


@transactional
def approve_task(tx: Transaction, task_id: str, *, by: Caller, commit_sha: str | None = None) -> Task:
    """Approve the task's verified commit. Conflict unless it is ready_to_test.

    commit_sha: the commit that the person looked at; Conflict if another one is verified by now. None: the present one.
    """
    task = lock_task(tx, task_id, by, Role.MAINTAINER)
    if task.state is not TaskState.READY_TO_TEST:
        raise Conflict(f"task {task.id} is {task.state}; only ready_to_test can be approved")
    require_approver(tx, task, by)
    if commit_sha is not None and commit_sha != task.head_sha:
        raise Conflict(f"task {task.id} is at {task.head_sha} now; review that commit", field="commitSha")
    task_states.approve(tx, task, actor())
    return task


def require_approver(tx: Transaction, task: Task, by: Caller) -> None:
    """Where another one has to approve, Forbidden if the caller wrote the task, changed its title or description, or
    pushed to its branch."""
    if not (task.needs_other_approver or tx.get(Project, task.project_id).separate_approver):
        return
    if by.user_id in {task.created_by_id, *task.edited_by_ids}:
        raise Forbidden("you wrote or changed this task, so you may not approve it; ask another maintainer")
    if has_pushed(tx, task.id, by):
        raise Forbidden("you pushed to the task's branch, so you may not approve it; ask another maintainer")


@transactional
def reject_task(tx: Transaction, task_id: str, *, reason: str, comments: Sequence[NewComment], by: Caller) -> Task:
    """Send the task back to its agent with the reason and the comments. It keeps its branch and pull request.

    Conflict unless it is ready_to_test.
    """
    task = lock_task(tx, task_id, by, Role.MAINTAINER)
    if task.state is not TaskState.READY_TO_TEST:
        raise Conflict(f"task {task.id} is {task.state}; only ready_to_test can be rejected")
    add_feedback(tx, task, "rejection", reason, comments)
    task_states.send_back(tx, task, by=By.PERSON)
    return task


@transactional
def cancel_task(tx: Transaction, task_id: str, *, by: Caller) -> Task:
    """Cancel the task: end its run, close its pull request and remove its preview.

    A group that holds it is rebuilt without it; that needs the role maintainer. Conflict once the group is on its way
    to staging, or if the task's state does not allow it.
    """
    _project_of(tx, task_id, by, Role.MEMBER)
    group = lock_with_group(tx, task_id)
    task = tx.lock(Task, task_id)
    if group is not None:
        by.require_in(tx, task.project_id, Role.MAINTAINER)
        if group.state not in BEFORE_STAGING:
            raise Conflict(f"task {task.id} is {task.state} and in group {group.id}, which is {group.state}")
    if not task.may_move_to(TaskState.CANCELLED, By.PERSON):
        raise Conflict(f"task {task.id} is {task.state}; it can't be cancelled")
    if group is not None:
        take_out(tx, group, task.id, "cancelled", by=By.PERSON)
    run = run_end.live_run(tx, task.id)
    task_states.cancel(tx, task)
    if run is not None:
        run_end.end_run(tx, run, Outcome.CANCELLED, f"cancelled by {actor()}", by=By.PERSON)
    return task


@transactional
def retry_task(tx: Transaction, task_id: str, *, by: Caller) -> Task:
    """Put a failed task back into the backlog, with all counters at zero. Conflict in any other state."""
    task = lock_task(tx, task_id, by, Role.MEMBER)
    if task.state is not TaskState.FAILED:
        raise Conflict(f"task {task.id} is {task.state}; only failed can be retried")
    task_states.retry(tx, task)
    return task


@transactional
def comment_on_task(tx: Transaction, task_id: str, comment: NewComment, *, by: Caller) -> Comment:
    """Add a comment for the next run of the task."""
    task = lock_task(tx, task_id, by, Role.MEMBER)
    row = add_comment(tx, task, "comment", comment, parent_id=None)
    record_update(tx, task, "comments")
    return row


def add_feedback(
    tx: Transaction,
    task: Task,
    kind: str,
    body: str,
    comments: Sequence[NewComment] = (),
    *,
    author: str | None = None,
) -> Comment:
    """Add feedback for the next run. kind: rejection, refusal, group, note or comment. comments: belong to it.

    author: a name to show; None: who acts.
    """
    parent = add_comment(tx, task, kind, NewComment(body), parent_id=None, author=author)
    for comment in comments:
        add_comment(tx, task, "comment", comment, parent_id=parent.id, author=author)
    return parent


def add_comment(
    tx: Transaction, task: Task, kind: str, new: NewComment, *, parent_id: str | None, author: str | None = None
) -> Comment:
    """Add one comment. parent_id: what it belongs to. author: as in add_feedback. The caller records the event."""
    return tx.add(
        Comment(
            task_id=task.id, parent_id=parent_id, kind=kind, author=author or actor(), body=new.body, path=new.path,
            line=new.line, start_line=None if new.start_line == new.line else new.start_line, side=new.shown_side,
            commit_sha=None if new.path is None else new.commit_sha or task.head_sha, created_at=tx.now(),
        )
    )  # fmt: skip


def lock_task(tx: Transaction, task_id: str, by: Caller, role: Role) -> Task:
    """The task, locked. NotFound if the caller may not see it, Forbidden below the role."""
    _project_of(tx, task_id, by, role)
    return tx.lock(Task, task_id)


def _project_of(tx: Transaction, task_id: str, by: Caller, role: Role) -> Project:
    project_id = tx.session.execute(select(Task.project_id).where(Task.id == task_id)).scalar_one_or_none()
    return by.require_in(tx, project_id, role)


_PLACE = Statement(
    lambda: (
        select(Project.state_, Project.is_restricted, ProjectMember.role, clock_to_note())
        .outerjoin(
            ProjectMember, and_(ProjectMember.project_id == Project.id, ProjectMember.user_id == bindparam("user"))
        )
        .where(Project.id == bindparam("project"))
    )
)


def _require_place(tx: Transaction, project_id: str, by: Caller) -> None:
    """Raise unless the caller may create a task in the project, and the project takes any."""
    rows = _PLACE.rows(tx.connection, project=project_id, user=by.user_id)
    state, is_restricted, member_role, now = rows[0] if rows else (None, True, None, None)
    tx.note_now(now)
    held = None if state is None else by.role_by(is_restricted=is_restricted, member_role=member_role)
    try:
        by.require_held(project_id, held, Role.MEMBER)
    except NotFound as error:
        raise Invalid("projectId", "No such project") from error
    if state == ProjectState.DELETING:
        raise Conflict(f"project {project_id} is deleting")
