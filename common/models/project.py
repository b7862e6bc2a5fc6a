"""A project: a repository, a namespace, the rules for what runs in them, and who may see it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, SmallInteger, String, UnicodeText, text
from sqlalchemy.orm import Mapped, mapped_column

from common.events import Event, ProjectStatusChanged
from common.models.base import Base, HasId, HasState, LongText
from common.states import PROJECT_EDGES, By, ProjectState


class Project(HasId, HasState[ProjectState], Base):
    """env_sealed and secret_env_sealed hold names and values, sealed; secret_env_names what may be shown of the latter.

    secrets_in_checks, secrets_in_previews: names out of secret_env_names that code nobody has reviewed is given.
    name_key tells names apart: the name itself, or for a restricted project what no name can be, so that a name which
    only its members know is not taken for anybody else. Its column is called `name`, for what it was at first.
    holds: how many runs in a row could not be prepared, for a reason that is the project's. held_until: none of its
    tasks starts before then. error: why, and why its setting up failed.
    """

    __tablename__ = "projects"
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
    keep_tests: Mapped[bool] = mapped_column(default=True)
    forbidden_paths: Mapped[list[str]]
    limits: Mapped[dict[str, float]]
    agent_instructions: Mapped[str] = mapped_column(LongText, default="")
    error: Mapped[str | None] = mapped_column(UnicodeText)
    holds: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    held_until: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(String(140))
    created_at: Mapped[datetime]

    def move_to(self, new: ProjectState, by: By) -> Event:
        old = self.change_state(new, by)
        return ProjectStatusChanged(feed=self.id, project_id=self.id, old_status=old, new_status=new)


class ProjectMember(Base):
    """Who may see a restricted project, and as what. The role is at most the user's own."""

    __tablename__ = "project_members"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    role: Mapped[int] = mapped_column(SmallInteger)


class Push(HasId, Base):
    """A person's push to the default branch or to a task's branch, written down before it happens.

    user_id None: username is a login at the forge. ended_at: since when nothing of the push is under way any more.
    settled_at: when it was seen to have landed; one that did not is removed. task_id None: the default branch's.
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
    settled_at: Mapped[datetime | None]
