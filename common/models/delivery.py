"""Groups of approved tasks that are delivered together, and deployments of one version to one environment."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy import ForeignKey, Index, String, UnicodeText, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from common.database.engines import StoredValue
from common.events.catalogue import (
    DeployCompleted,
    DeployFailed,
    DeployStarted,
    DeploySuperseded,
    Event,
    TaskGroupStatusChanged,
)
from common.models.base import TABLE_OPTIONS, Base, HasId, HasState, LongText
from common.values.delivery.rollback_barrier import Barrier
from common.values.json_codec import decode
from common.values.names import RELEASE_PREFIX
from common.values.states import (
    ACTIVE_DEPLOYMENT,
    DEPLOYMENT_EDGES,
    GROUP_EDGES,
    By,
    DeploymentState,
    Environment,
    GroupState,
)
from common.values.testing.auto_quarantine import Evidence
from common.values.testing.build_results import BuildResults, read_build


class TaskGroup(HasId, HasState[GroupState], Base):
    """base_sha: the default branch's head that it is built on. head_sha: the release branch's head. tested_sha: the
    head that passed the tests. attempt: raised by every rebuild; part of the checks' names. build: the test results of
    this attempt. problems: the tasks taken out and other problems, each with its kind. wants_staging: deploy to staging
    as soon as it is merged. accepted_rolled_back_at: when a person last accepted that changes rolled back by then
    return with it. rolled_back_at: since when a rollback keeps it out of production; None: none does. reverted_at: when
    a version was delivered that also reverts its changes in the default branch.
    """

    __tablename__ = "task_groups"
    __table_args__ = (
        UniqueConstraint("project_id", "branch", name="uq_task_groups_branch"),
        Index("ix_task_groups_created", "created_at", "id"),
        Index("ix_task_groups_project_created", "project_id", "created_at", "id"),
        Index("ix_task_groups_state_created", "state", "created_at", "id"),
        TABLE_OPTIONS,
    )
    lock_rank = 4
    edges = GROUP_EDGES
    state_type = GroupState
    thing = "task group"

    state_: Mapped[str] = mapped_column("state", String(24))
    project_id: Mapped[str] = mapped_column(String(40), ForeignKey("projects.id"))
    name: Mapped[str | None] = mapped_column(String(100))
    notes: Mapped[str | None] = mapped_column(LongText)
    target_branch: Mapped[str] = mapped_column(String(16))
    branch: Mapped[str] = mapped_column(String(100))
    base_sha: Mapped[str | None] = mapped_column(String(40))
    head_sha: Mapped[str | None] = mapped_column(String(40))
    tested_sha: Mapped[str | None] = mapped_column(String(40))
    attempt: Mapped[int] = mapped_column(default=1)
    build: Mapped[BuildResults] = mapped_column(StoredValue(read_build))
    problems: Mapped[list[dict[str, object]]]
    error: Mapped[str | None] = mapped_column(UnicodeText)
    wants_staging: Mapped[bool] = mapped_column(default=False)
    accepted_rolled_back_at: Mapped[datetime | None]
    rolled_back_at: Mapped[datetime | None]
    reverted_at: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(String(140))
    created_at: Mapped[datetime]

    @property
    def label(self) -> str:
        """What people call the group: its name, else that of its branch."""
        return self.name or self.branch.removeprefix(RELEASE_PREFIX)

    def move_to(self, new: GroupState, by: By) -> Event:
        old = self.change_state(new, by)
        return TaskGroupStatusChanged(feed=self.project_id, task_group_id=self.id, old_status=old, new_status=new)


class GroupMember(Base):
    """A task in a group. live_task_id equals task_id while the group holds the task, else it is NULL: being unique, it
    keeps a task from being in two live groups.

    removed_reason: None while the task is part of the group. position: the order of merging, from 0. merged_sha: the
    release branch's head after the task was merged in the present attempt.
    """

    __tablename__ = "group_members"

    group_id: Mapped[str] = mapped_column(ForeignKey("task_groups.id", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True, index=True)
    live_task_id: Mapped[str | None] = mapped_column(String(40), unique=True)
    position: Mapped[int]
    approved_sha: Mapped[str] = mapped_column(String(40))
    merged_sha: Mapped[str | None] = mapped_column(String(40))
    removed_reason: Mapped[str | None] = mapped_column(String(24))


class CommitVerdict(Base):
    """The result of a project's test command on one commit of a group's branch or of the default branch below it.

    command_digest: SHA-256 of the command. reason, log: None if it passed. Only repeatable results are stored.
    """

    __tablename__ = "commit_verdicts"

    project_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    commit_sha: Mapped[str] = mapped_column(String(40), primary_key=True)
    command_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    passed: Mapped[bool]
    reason: Mapped[str | None] = mapped_column(UnicodeText)
    log: Mapped[str | None] = mapped_column(LongText)
    at: Mapped[datetime] = mapped_column(index=True)


class TestedCommit(Base):
    """The tests that a project's command ran on one commit, by its report.

    command_digest: of the commands and of where the report is. passed: whether the command passed, in any of its runs.
    report: the tests as JSON, each with its best result; None if there was no report, for which `problem` says why.
    runs: how often they ran; 0: by settings that have changed since. reason, log: why the last run failed, and the end
    of its output, masked; None if it passed.
    """

    __test__ = False
    __tablename__ = "tested_commits"

    project_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    commit_sha: Mapped[str] = mapped_column(String(40), primary_key=True)
    command_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    passed: Mapped[bool]
    report: Mapped[str | None] = mapped_column(LongText)
    problem: Mapped[str | None] = mapped_column(UnicodeText)
    runs: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    reason: Mapped[str | None] = mapped_column(UnicodeText)
    log: Mapped[str | None] = mapped_column(LongText)
    at: Mapped[datetime] = mapped_column(index=True)


class FlakyTest(Base):
    """A test that was red and green on one commit, or is in quarantine.

    name_digest: SHA-256 of the name. flaked_on: on how many commits it was both. ran_on: on how many it ran since it is
    known. last_at, last_sha: where it was last both; None: never. quarantined_until: until when its failures do not
    count; None: they do. quarantined_by: who answers for that. is_quarantined_by_rule: the project's rule put it there.
    failed_in_quarantine: on how many commits it failed while its failures did not count. evidence: what the project's
    rule counts; evidence_after: flakes up to then do not count for it; None: all do.
    """

    __tablename__ = "flaky_tests"
    __table_args__ = (Index("ix_flaky_tests_owner", "quarantined_by", "quarantined_until"), TABLE_OPTIONS)

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    name_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(UnicodeText)
    flaked_on: Mapped[int] = mapped_column(default=0)
    ran_on: Mapped[int] = mapped_column(default=0)
    last_at: Mapped[datetime | None]
    last_sha: Mapped[str | None] = mapped_column(String(40))
    quarantined_until: Mapped[datetime | None]
    quarantined_by: Mapped[str | None] = mapped_column(String(140))
    quarantine_reason: Mapped[str | None] = mapped_column(UnicodeText)
    is_quarantined_by_rule: Mapped[bool] = mapped_column(default=False, server_default=false())
    failed_in_quarantine: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    evidence: Mapped[Evidence | None] = mapped_column(StoredValue(partial(decode, Evidence)))
    evidence_after: Mapped[datetime | None]


class GroupTest(HasId, Base):
    """One run of the tests on a group's branch, kept for people. What follows is decided by `TaskGroup.build` alone.

    attempt: the group's attempt that it belongs to. position: how many members the commit holds; 0 is the default
    branch. task_id: the last of these members; None at position 0. is_known: an earlier group's result for the same
    commit, used again. reason: why it failed; None if it passed. log: the end of its output, masked.
    """

    __tablename__ = "group_tests"
    __table_args__ = (Index("ix_group_tests_group", "group_id", "id"), Index("ix_group_tests_at", "at"), TABLE_OPTIONS)

    group_id: Mapped[str] = mapped_column(ForeignKey("task_groups.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    position: Mapped[int]
    task_id: Mapped[str | None] = mapped_column(String(40))
    commit_sha: Mapped[str] = mapped_column(String(40))
    passed: Mapped[bool]
    is_known: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str | None] = mapped_column(UnicodeText)
    log: Mapped[str] = mapped_column(LongText)
    at: Mapped[datetime]


class HealthSpan(HasId, Base):
    """A time in which a live version was in one state whenever the runtime was looked at.

    state: a HealthState. since, until: the first and the last of these looks; nobody looked between two spans that do
    not touch. restarts: how often its process had been restarted by then. reason: why it does not serve, as the last
    of these looks found, masked; None if that is not known, and for one that is healthy.
    """

    __tablename__ = "health_spans"
    __table_args__ = (Index("ix_health_spans_app", "project_id", "app_name", "id"), TABLE_OPTIONS)

    project_id: Mapped[str] = mapped_column(String(40), ForeignKey("projects.id"))
    app_name: Mapped[str] = mapped_column(String(63))
    deployment_id: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(UnicodeText)
    restarts: Mapped[int] = mapped_column(default=0)
    since: Mapped[datetime]
    until: Mapped[datetime]


class Deployment(HasId, HasState[DeploymentState], Base):
    """One version in one environment.

    active_key: set while it is pending or in progress; unique, so an app has at most one such deployment. live_key: set
    while it serves; unique. spec_sealed: everything that the runtime was told, so that a rollback runs exactly the
    version that was healthy. was_healthy: it once passed its health check, so a rollback may return to it. barrier: the
    rollbacks that the version rules out; None if it declares none. taken_back_at: since when production is rolled back
    to before this version; None if it is not. version: which one of its environment it is, counted from 1 as they go
    live; a rollback has that of the version it brings back. None for a preview, and until it is healthy.
    """

    __tablename__ = "deployments"
    __table_args__ = (
        Index("ix_deployments_created", "created_at", "id"),
        Index("ix_deployments_task_created", "task_id", "created_at", "id"),
        Index("ix_deployments_group_created", "task_group_id", "created_at", "id"),
        Index("ix_deployments_project_created", "project_id", "created_at", "id"),
        Index("ix_deployments_state_created", "state", "created_at", "id"),
        Index("ix_deployments_environment_created", "environment", "created_at", "id"),
        Index("ix_deployments_project_environment", "project_id", "environment", "created_at", "id"),
        TABLE_OPTIONS,
    )
    lock_rank = 5
    edges = DEPLOYMENT_EDGES
    state_type = DeploymentState
    thing = "deployment"

    state_: Mapped[str] = mapped_column("state", String(24))
    project_id: Mapped[str] = mapped_column(String(40), ForeignKey("projects.id"))
    environment_: Mapped[str] = mapped_column("environment", String(16))
    app_name: Mapped[str] = mapped_column(String(63))
    commit_sha: Mapped[str] = mapped_column(String(40))
    branch: Mapped[str] = mapped_column(String(100))
    task_id: Mapped[str | None] = mapped_column(String(40))
    task_group_id: Mapped[str | None] = mapped_column(String(40))
    rollback_of: Mapped[str | None] = mapped_column(String(40))
    url: Mapped[str | None] = mapped_column(String(500))
    error: Mapped[str | None] = mapped_column(UnicodeText)
    error_code: Mapped[str | None] = mapped_column(String(24))
    active_key: Mapped[str | None] = mapped_column(String(120), unique=True)
    live_key: Mapped[str | None] = mapped_column(String(120), unique=True)
    spec_sealed: Mapped[str] = mapped_column(LongText)
    was_healthy: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int | None]
    barrier: Mapped[Barrier | None] = mapped_column(StoredValue(partial(decode, Barrier)))
    taken_back_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(String(140))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    @property
    def environment(self) -> Environment:
        return Environment(self.environment_)

    @property
    def environment_key(self) -> str:
        """The app that it is deployed to: the value of active_key and live_key."""
        return f"{self.project_id}:{self.app_name}"

    def move_to(self, new: DeploymentState, by: By) -> Event | None:
        """Change the state and update the keys. Returns None if there is no event for this change."""
        was_starting = self.state is DeploymentState.IN_PROGRESS
        self.change_state(new, by)
        self.active_key = self.environment_key if new in ACTIVE_DEPLOYMENT else None
        self.live_key = self.environment_key if new is DeploymentState.COMPLETED else None
        about = {"feed": self.project_id, "deployment_id": self.id, "environment": self.environment_}
        if new is DeploymentState.IN_PROGRESS:
            return DeployStarted(**about, subject_task_id=self.task_id)
        if new is DeploymentState.COMPLETED:
            return DeployCompleted(**about, subject_task_id=self.task_id, url=self.url or "")
        if new is DeploymentState.FAILED:
            return DeployFailed(**about, subject_task_id=self.task_id, error=self.error or "unknown")
        if new is DeploymentState.SUPERSEDED and was_starting:
            # One that served has its `deploy:completed`, and one that was pending no `deploy:started`.
            return DeploySuperseded(**about, subject_task_id=self.task_id)
        return None


class Receipt(Base):
    """What led to a version in production, signed when it went live, and never changed.

    number: from 1 in each project, without gaps. kind: `delivery` or `rollback`. commit_sha: what production runs from
    then on; for a rollback the version that it went back to. envelope: see common/secrets/envelopes.py. digest: SHA-256
    of the envelope, by which the next receipt names it.
    """

    __tablename__ = "receipts"
    __table_args__ = (
        Index("ix_receipts_commit", "commit_sha", "project_id", "number"),
        UniqueConstraint("deployment_id", name="uq_receipts_deployment"),
        TABLE_OPTIONS,
    )

    project_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    commit_sha: Mapped[str] = mapped_column(String(40))
    deployment_id: Mapped[str] = mapped_column(String(40))
    envelope: Mapped[str] = mapped_column(LongText)
    digest: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
