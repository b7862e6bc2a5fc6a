"""A project: its repository and namespace, its settings, its members, and the pushes to it."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy import ForeignKey, Index, SmallInteger, String, UnicodeText, text
from sqlalchemy.orm import Mapped, mapped_column

from common.database.engines import StoredValue
from common.events.catalogue import Event, ProjectStatusChanged
from common.models.base import TABLE_OPTIONS, Base, HasId, HasState, LongText
from common.values.json_codec import decode
from common.values.states import PROJECT_EDGES, By, ProjectState
from common.values.testing.red_base import RedBase


class Project(HasId, HasState[ProjectState], Base):
    """env_sealed, secret_env_sealed: names and values, encrypted. secret_env_names: the names in secret_env_sealed.

    secrets_in_checks, secrets_in_previews: those of secret_env_names that unreviewed code is given. name_key: makes
    names unique; the name itself, or for a restricted project a key that is not a valid name, so that other people do
    not learn of its name by a conflict. Its column is called `name`. holds: how many runs in a row could not be
    prepared because of the project. held_until: no task starts before. error: why provisioning failed, why no task can
    start, or why its branch rules are not set. driver, model: for tasks that name none; None: the platform's.
    setup_command: makes a clone ready for work; None: nothing to do. cache_paths: folders that are kept between clones.
    services: databases that each run, test and preview gets, as the API shows them. question_rules: deadline, reminder
    and escalation of questions.
    starter: what its repository starts with; None: a README.md, or the import.
    test_report: where its tests write JUnit XML; None: where the usual runners do. tests_lost: `refuse` or `warn`, if
    tests of the base do not run any more. tests_first: `refuse`, `warn` or `off`, if new tests pass without the change;
    with `off`, changed tests are not run as they were, either. test_setup: patterns of files that define how the tests
    run. most_quarantined: flaky tests that may be in quarantine at once. auto_quarantine: the rule that puts them there
    by itself, see AutoQuarantine; None: a person does. group_test_runs: how often the tests of a group must be green;
    0: five times, or as often as two more minutes allow. red_base: None unless the tests of the default branch are
    known to fail. coverage: `read`, `run` or `off`, if the lines that its tests touch are read from their report, or
    else measured by the platform.
    required_statuses: contexts of the repository's own CI that a commit needs to be proven.
    agent_review: which agent reviews proven work, see AgentReview; None: none does.
    secret_scan, dependency_scan: `refuse`, `warn` or `off`, if a change has secrets, or dependencies with known faults.
    egress, egress_hosts: what its programs may reach. caps: most tokens, costUsd, minutes and runs, in `task` (of each
    task), `day` and `total`.
    """

    __tablename__ = "projects"
    __table_args__ = (
        Index("ix_projects_created", "created_at", "id"),
        Index("ix_projects_restricted", "is_restricted"),
        TABLE_OPTIONS,
    )
    lock_rank = 1
    edges = PROJECT_EDGES
    state_type = ProjectState
    thing = "project"

    name: Mapped[str] = mapped_column("shown_name", String(100), server_default="", index=True)
    name_key: Mapped[str] = mapped_column("name", String(100), unique=True)
    slug: Mapped[str] = mapped_column(String(40), unique=True)
    namespace: Mapped[str] = mapped_column(String(63), unique=True)
    repository_owner: Mapped[str] = mapped_column(String(40))
    repository_url: Mapped[str] = mapped_column(String(500))
    description: Mapped[str] = mapped_column(UnicodeText, default="")
    import_url: Mapped[str | None] = mapped_column(String(2000))
    starter: Mapped[str | None] = mapped_column(String(20))
    default_branch: Mapped[str] = mapped_column(String(100))
    docker_image: Mapped[str | None] = mapped_column(String(255))
    env_sealed: Mapped[str | None] = mapped_column(LongText)
    secret_env_names: Mapped[list[str]]
    secret_env_sealed: Mapped[str | None] = mapped_column(LongText)
    secrets_in_checks: Mapped[list[str]]
    secrets_in_previews: Mapped[list[str]]
    replicas: Mapped[int] = mapped_column(default=1)
    cpu_limit: Mapped[str | None] = mapped_column(String(32))
    memory_limit: Mapped[str | None] = mapped_column(String(32))
    start_command: Mapped[str | None] = mapped_column(UnicodeText)
    test_command: Mapped[str | None] = mapped_column(UnicodeText)
    health_path: Mapped[str] = mapped_column(String(500), default="/")
    health_contains: Mapped[str | None] = mapped_column(String(200))
    health_seconds: Mapped[dict[str, int]]
    port: Mapped[int | None]
    preview_ttl_hours: Mapped[int]
    max_parallel_tasks: Mapped[int | None]
    is_restricted: Mapped[bool] = mapped_column(default=False)
    separate_approver: Mapped[bool] = mapped_column(default=False)
    allow_direct_push: Mapped[bool] = mapped_column(default=False)
    tests_lost: Mapped[str] = mapped_column(String(8), default="refuse", server_default="refuse")
    tests_first: Mapped[str] = mapped_column(String(8), default="warn", server_default="off")
    secret_scan: Mapped[str] = mapped_column(String(8), default="warn", server_default="off")
    dependency_scan: Mapped[str] = mapped_column(String(8), default="warn", server_default="off")
    test_report: Mapped[str | None] = mapped_column(String(200))
    test_setup: Mapped[list[str]] = mapped_column(default=list)
    most_quarantined: Mapped[int] = mapped_column(default=5, server_default=text("5"))
    auto_quarantine: Mapped[dict[str, object] | None]
    group_test_runs: Mapped[int] = mapped_column(default=0, server_default=text("1"))
    coverage: Mapped[str] = mapped_column(String(8), default="run", server_default="read")
    red_base: Mapped[RedBase | None] = mapped_column(StoredValue(partial(decode, RedBase)))
    required_statuses: Mapped[list[str]] = mapped_column(default=list)
    agent_review: Mapped[dict[str, object] | None]
    forbidden_paths: Mapped[list[str]]
    limits: Mapped[dict[str, float]]
    agent_instructions: Mapped[str] = mapped_column(LongText, default="")
    driver: Mapped[str | None] = mapped_column(String(40))
    model: Mapped[str | None] = mapped_column(String(100))
    setup_command: Mapped[str | None] = mapped_column(UnicodeText)
    cache_paths: Mapped[list[str]] = mapped_column(default=list)
    services: Mapped[list[dict[str, object]]] = mapped_column(default=list)
    question_rules: Mapped[dict[str, object]] = mapped_column(default=dict)
    egress: Mapped[str] = mapped_column(String(16), default="registries", server_default="open")
    egress_hosts: Mapped[list[str]] = mapped_column(default=list)
    caps: Mapped[dict[str, object]] = mapped_column(default=dict)
    error: Mapped[str | None] = mapped_column(UnicodeText)
    holds: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    held_until: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(String(140))
    created_at: Mapped[datetime]

    @property
    def keep_tests(self) -> bool:
        """`tests_lost` as clients know it that were written before there was a report."""
        return self.tests_lost == "refuse"

    @keep_tests.setter
    def keep_tests(self, is_kept: bool) -> None:
        self.tests_lost = "refuse" if is_kept else "warn"

    @property
    def review(self) -> str:
        """The mode of `agent_review`, or `off`. It can be set where there is one, and to `off`."""
        return str(self.agent_review["mode"]) if self.agent_review else "off"

    @review.setter
    def review(self, mode: str) -> None:
        self.agent_review = {**self.agent_review, "mode": mode} if self.agent_review and mode != "off" else None

    def move_to(self, new: ProjectState, by: By) -> Event:
        old = self.change_state(new, by)
        return ProjectStatusChanged(feed=self.id, project_id=self.id, old_status=old, new_status=new)


class ProjectMember(Base):
    """A user who may see a restricted project, with a role there. The user's own role limits it."""

    __tablename__ = "project_members"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    role: Mapped[int] = mapped_column(SmallInteger)


class Push(HasId, Base):
    """A person's push to the default branch or to a task's branch, stored before it happens.

    user_id: None for a push at the forge; username is a login there. ended_at: when git was done with the push.
    settled_at: when the push was found in the branch; pushes that failed are deleted. task_id: None for the default
    branch.
    """

    __tablename__ = "pushes"

    project_id: Mapped[str] = mapped_column(String(40), index=True)
    task_id: Mapped[str | None] = mapped_column(String(40), index=True)
    branch: Mapped[str] = mapped_column(String(255))
    old_sha: Mapped[str | None] = mapped_column(String(40))
    new_sha: Mapped[str] = mapped_column(String(40))
    user_id: Mapped[str | None] = mapped_column(String(40))
    username: Mapped[str] = mapped_column(String(140))
    at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None] = mapped_column(index=True)
