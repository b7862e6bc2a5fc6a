"""A task with its dependencies, questions, comments, and the checks of its work."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    UnicodeText,
    UniqueConstraint,
    text,
    true,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from common.events.catalogue import Event, TaskStatusChanged
from common.models.base import TABLE_OPTIONS, Base, HasId, HasState, LongText
from common.values.runs.parking import Parked, Parking
from common.values.states import TASK_EDGES, By, Phase, TaskState


def is_word_index(name: str | None) -> bool:
    """Whether the database's index of titles' words owns the table or column of that name (migration 0020).

    The database fills it from the rows of `tasks`. It has no model, and is no part of a backup.
    """
    return name is not None and (name.startswith("task_words") or name in {"task_numbers", "title_words"})


class Task(HasId, HasState[TaskState], Base):
    """A change that a person wants an agent to make.

    phase: set in in_progress, else None. round: starts at 1, rises with every rejection or refusal. attempts: lost runs
    in a row that count against the task. losses: runs in a row that were lost because a machine or the platform
    stopped. refusals: failed verifications since a person last acted. head_sha: the commit that was last verified.
    approved_sha: the approved commit. approved_at: None, too, for one that an older version approved. later_push: the
    head of its branch that its group left out, because the group was already on its way to staging. error: why it
    failed, or why its last run could not begin. queued_at: since when it waits for an agent; its priority rises with
    this time. trace_parent: the trace that its next run belongs to.
    edited_by_ids: people other than its creator who changed its title or description.
    needs_other_approver: the project had `separate_approver` when head_sha was verified.
    rolled_back_at: since when a rollback keeps it out of production; None: none does. model: None: the project's.
    held_by: the person who works on its branch by hand, in the phase `held`; else None. caps: its most tokens, costUsd,
    minutes and runs; those that it lacks are the project's. accepted_losses: names of tests that a person lets go.
    may_change_test_setup: its tests are run as its branch defines them, not as the base does.
    accepted_findings: names of what the scans of its proof found and a person lets go.
    parked_code, parked_reason: why it is parked, in the phase `parked`, or in the backlog while it awaits files.
    parked_until: when it goes on by itself; None: when the reason is gone.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_created", "created_at", "id"),
        Index("ix_tasks_project_created", "project_id", "created_at", "id"),
        Index("ix_tasks_state_created", "state", "created_at", "id"),
        Index("ix_tasks_state_updated", "state", "updated_at", "id"),
        Index("ix_tasks_priority_created", "priority", "created_at", "id"),
        Index("ix_tasks_state_priority", "state", "priority", "created_at", "id"),
        Index("ix_tasks_project_state_created", "project_id", "state", "created_at", "id"),
        Index("ix_tasks_project_priority", "project_id", "priority", "created_at", "id"),
        Index("ix_tasks_agent_created", "assigned_agent_id", "created_at", "id"),
        Index("ix_tasks_author_created", "created_by_id", "created_at", "id"),
        Index("ix_tasks_waiting", "state", "queued_at", "id"),
        # Few tasks are parked. MariaDB has no partial indexes.
        Index("ix_tasks_parked", "parked_code", "created_at", "id", sqlite_where=text("parked_code IS NOT NULL")),
        TABLE_OPTIONS,
    )
    lock_rank = 2
    edges = TASK_EDGES
    state_type = TaskState
    thing = "task"

    state_: Mapped[str] = mapped_column("state", String(24))
    project_id: Mapped[str] = mapped_column(String(40), ForeignKey("projects.id"))
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(LongText, default="")
    notes: Mapped[str | None] = mapped_column(LongText)
    priority: Mapped[int] = mapped_column(SmallInteger)
    phase_: Mapped[str | None] = mapped_column("phase", String(16))
    round: Mapped[int] = mapped_column(default=1)
    attempts: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    refusals: Mapped[int] = mapped_column(default=0)
    labels: Mapped[list[str]]
    required_capabilities: Mapped[list[str]]
    driver: Mapped[str | None] = mapped_column(String(40))
    model: Mapped[str | None] = mapped_column(String(100))
    held_by: Mapped[str | None] = mapped_column(String(140))
    held_by_id: Mapped[str | None] = mapped_column(String(40))
    limits: Mapped[dict[str, float]]
    caps: Mapped[dict[str, float]] = mapped_column(default=dict)
    parked_until: Mapped[datetime | None] = mapped_column(index=True)
    parked_code: Mapped[str | None] = mapped_column(String(16))
    parked_reason: Mapped[str | None] = mapped_column(LongText)
    assigned_agent_id: Mapped[str | None] = mapped_column(String(40))
    branch_name: Mapped[str] = mapped_column(String(100))
    head_sha: Mapped[str | None] = mapped_column(String(40))
    approved_sha: Mapped[str | None] = mapped_column(String(40))
    approved_by: Mapped[str | None] = mapped_column(String(140))
    approved_at: Mapped[datetime | None]
    later_push: Mapped[str | None] = mapped_column(String(40))
    pr_number: Mapped[int | None]
    pr_url: Mapped[str | None] = mapped_column(String(500))
    preview_url: Mapped[str | None] = mapped_column(String(500))
    error: Mapped[str | None] = mapped_column(UnicodeText)
    created_by: Mapped[str] = mapped_column(String(140))
    created_by_id: Mapped[str | None] = mapped_column(String(40))
    edited_by_ids: Mapped[list[str]] = mapped_column(default=list)
    needs_other_approver: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    trace_parent: Mapped[str | None] = mapped_column(String(55))
    rolled_back_at: Mapped[datetime | None]
    accepted_losses: Mapped[list[str]] = mapped_column(default=list)
    may_change_test_setup: Mapped[bool] = mapped_column(default=False)
    accepted_findings: Mapped[list[str]] = mapped_column(default=list)

    @property
    def phase(self) -> Phase | None:
        return Phase(self.phase_) if self.phase_ else None

    @property
    def parked(self) -> Parking | None:
        """None unless it is in the phase `parked`, or in the backlog and awaits files."""
        if self.parked_code is None or not (self.phase is Phase.PARKED or self.awaits_files):
            return None
        return Parking(self.parked_code, self.parked_reason or "", self.parked_until)

    @property
    def awaits_files(self) -> bool:
        return self.state is TaskState.BACKLOG and self.parked_code == Parked.FILES

    def move_to(self, new: TaskState, by: By, *, phase: Phase | None = None) -> Event:
        """Change the state. phase: required for in_progress, None for every other state (else ValueError)."""
        if (new is TaskState.IN_PROGRESS) != (phase is not None):
            raise ValueError(f"phase {phase} does not belong to {new}")
        old = self.change_state(new, by)
        self.phase_ = phase
        return TaskStatusChanged(
            feed=self.project_id,
            subject_task_id=self.id,
            task_id=self.id,
            old_state=old,
            new_state=new,
            preview_url=self.preview_url,
        )

    def enter_phase(self, phase: Phase) -> None:
        """Change the phase within in_progress. The caller records task:updated. ValueError in any other state."""
        if self.state is not TaskState.IN_PROGRESS:
            raise ValueError(f"task {self.id} is {self.state}: it has no phase")
        self.phase_ = phase


class TaskDependency(Base):
    """The task task_id starts only once the task depends_on_id is approved or delivered."""

    __tablename__ = "task_dependencies"

    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    depends_on_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True, index=True)


class Question(Base):
    """A question of an agent or, without a run_id, of the platform. fingerprint: a hash of its text and, if a proof
    asks, of the proven run's id, unique per round, so repeating it adds no row.

    is_blocking: the agent waits for the answer. default_response: the answer that counts at the deadline; None: none
    does. deadline_at, remind_at: None: none is set, or it is done. escalated_to: the person who was asked after nobody
    had answered; None: nobody yet.
    """

    __tablename__ = "questions"
    __table_args__ = (
        UniqueConstraint("task_id", "round", "fingerprint", name="uq_questions_same"),
        Index("ix_questions_state_asked", "state", "asked_at", "id"),
        TABLE_OPTIONS,
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    task_id: Mapped[str] = mapped_column(String(40), ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[str | None] = mapped_column(String(40))
    round: Mapped[int]
    fingerprint: Mapped[str] = mapped_column(String(64))
    question: Mapped[str] = mapped_column(LongText)
    context: Mapped[str | None] = mapped_column(LongText)
    options: Mapped[list[str]]
    state: Mapped[str] = mapped_column(String(16))
    asked_at: Mapped[datetime]
    response: Mapped[str | None] = mapped_column(LongText)
    responded_at: Mapped[datetime | None]
    responded_by: Mapped[str | None] = mapped_column(String(140))
    is_blocking: Mapped[bool] = mapped_column(default=True, server_default=true())
    default_response: Mapped[str | None] = mapped_column(LongText)
    deadline_at: Mapped[datetime | None] = mapped_column(index=True)
    remind_at: Mapped[datetime | None] = mapped_column(index=True)
    escalated_to: Mapped[str | None] = mapped_column(String(140))

    @property
    def asked_by(self) -> str | None:
        """`platform` if the platform itself asks; None: the agent does."""
        return asker(self.run_id)


def asker(run_id: str | None) -> str | None:
    """Who asks a question of this run: see Question.asked_by."""
    return "platform" if run_id is None else None


class Comment(HasId, Base):
    """Feedback for the next run.

    kind: comment, rejection, refusal, group, note, or one of KINDS in messages.py.
    parent_id: the rejection or review that a line comment belongs to. delivered_run_id: the run that received it; None
    until then. Each comment is delivered to one run.
    line: the last one that it is about; start_line: the first, None for a single line. side: `new` or `old`, the
    version whose lines are counted; None in rows from before sides, which means `new`. commit_sha: the head of the
    diff that it was written on; None: unknown. resolved_by, resolved_at: the person who marked it as settled, and when;
    None: it is open.
    """

    __tablename__ = "comments"

    task_id: Mapped[str] = mapped_column(String(40), ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    parent_id: Mapped[str | None] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(16))
    author: Mapped[str] = mapped_column(String(140))
    body: Mapped[str] = mapped_column(LongText)
    path: Mapped[str | None] = mapped_column(String(1000))
    line: Mapped[int | None]
    start_line: Mapped[int | None]
    side: Mapped[str | None] = mapped_column(String(3))
    commit_sha: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]
    delivered_run_id: Mapped[str | None] = mapped_column(String(40))
    delivered_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None] = mapped_column(String(140))
    resolved_at: Mapped[datetime | None]


class PendingComment(HasId, Base):
    """A comment of somebody's draft review of a task. Nobody else sees it; submitting the review makes it a Comment.

    path, line, start_line, side, commit_sha: as in Comment.
    """

    __tablename__ = "pending_comments"
    __table_args__ = (Index("ix_pending_comments_draft", "task_id", "user_id"), TABLE_OPTIONS)

    task_id: Mapped[str] = mapped_column(String(40), ForeignKey("tasks.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(String(40), ForeignKey("users.id", ondelete="CASCADE"), index=True)
    body: Mapped[str] = mapped_column(LongText)
    path: Mapped[str | None] = mapped_column(String(1000))
    line: Mapped[int | None]
    start_line: Mapped[int | None]
    side: Mapped[str | None] = mapped_column(String(3))
    commit_sha: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TaskCheck(HasId, Base):
    """One check of a run's result. status: running, passed, failed, skipped.

    log: the end of what the tests printed; of the check `diff`, the paths that are changed, one on a line; of
    `lost_tests`, `new_tests` and `changed_tests` the tests; of `coverage` the lines that no test touches; of `statuses`
    the statuses; of `secrets` and `dependencies` the findings (see `names_in`). facts: the numbers in the message, by
    name.
    """

    __tablename__ = "task_checks"
    __table_args__ = (UniqueConstraint("run_id", "name", name="uq_task_checks_once"), TABLE_OPTIONS)

    task_id: Mapped[str] = mapped_column(String(40), ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[str] = mapped_column(String(40))
    commit_sha: Mapped[str | None] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(24))
    status: Mapped[str] = mapped_column(String(16))
    code: Mapped[str | None] = mapped_column(String(40))
    message: Mapped[str | None] = mapped_column(LongText)
    log: Mapped[str | None] = mapped_column(LongText)
    at: Mapped[datetime]
    facts: Mapped[dict[str, int]] = mapped_column(default=dict)

    @property
    def output(self) -> str | None:
        """What the tests printed; None for a check that runs nothing."""
        return None if self.name == "diff" else self.log


class Attachment(HasId, Base):
    """A file that a person added to a task. Its agent gets it as a file. name: unique in the task."""

    __tablename__ = "attachments"
    __table_args__ = (UniqueConstraint("task_id", "name", name="uq_attachments_name"), TABLE_OPTIONS)

    task_id: Mapped[str] = mapped_column(String(40), ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    content: Mapped[bytes] = mapped_column(
        LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb"), deferred=True
    )
    added_by: Mapped[str] = mapped_column(String(140))
    added_at: Mapped[datetime]


class PreviewPicture(HasId, Base):
    """A picture of the preview of a task's commit, or of what people use without the change.

    kind: `after` (the preview) or `before`. commit_sha: the task's commit, which the picture belongs to. pictured_sha:
    the commit that was running. content: a PNG; None: there is no picture, and problem says why. shown_at: since when
    it is on the pull request; None: it is not.
    """

    __tablename__ = "preview_pictures"
    __table_args__ = (UniqueConstraint("task_id", "kind", name="uq_preview_pictures_kind"), TABLE_OPTIONS)

    task_id: Mapped[str] = mapped_column(String(40), ForeignKey("tasks.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(8))
    commit_sha: Mapped[str] = mapped_column(String(40))
    pictured_sha: Mapped[str] = mapped_column(String(40))
    width: Mapped[int]
    height: Mapped[int]
    size_bytes: Mapped[int]
    content: Mapped[bytes | None] = mapped_column(
        LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb"), deferred=True
    )
    problem: Mapped[str | None] = mapped_column(String(500))
    taken_at: Mapped[datetime] = mapped_column(index=True)
    shown_at: Mapped[datetime | None]


class Proposal(HasId, Base):
    """A task that an agent proposes to do next. state: proposed, accepted, dismissed.

    fingerprint: a hash of its title, so that a repeated proposal adds no row. created_task_id: set once accepted.
    """

    __tablename__ = "proposals"
    __table_args__ = (UniqueConstraint("task_id", "fingerprint", name="uq_proposals_same"), TABLE_OPTIONS)

    task_id: Mapped[str] = mapped_column(String(40), ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[str] = mapped_column(String(40))
    fingerprint: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(LongText)
    state: Mapped[str] = mapped_column(String(16))
    created_task_id: Mapped[str | None] = mapped_column(String(40))
    decided_by: Mapped[str | None] = mapped_column(String(140))
    created_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
