"""A project: a repository, a namespace, the rules for what runs in them, and who may see it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, SmallInteger, String, UnicodeText
from sqlalchemy.orm import Mapped, mapped_column

from common.events import Event, ProjectStatusChanged
from common.models.base import Base, HasId, HasState, LongText
from common.states import PROJECT_EDGES, By, ProjectState


class Project(HasId, HasState, Base):
    """secret_env_sealed holds the values, sealed; secret_env_names what may be shown of them."""

    __tablename__ = "projects"
    lock_rank = 1
    edges = PROJECT_EDGES
    state_type = ProjectState
    thing = "project"

    name: Mapped[str] = mapped_column(String(100), unique=True)
    slug: Mapped[str] = mapped_column(String(40), unique=True)
    namespace: Mapped[str] = mapped_column(String(63), unique=True)
    repository_owner: Mapped[str] = mapped_column(String(40))
    repository_url: Mapped[str] = mapped_column(String(500))
    description: Mapped[str] = mapped_column(UnicodeText, default="")
    import_url: Mapped[str | None] = mapped_column(String(2000))
    default_branch: Mapped[str] = mapped_column(String(100))
    docker_image: Mapped[str | None] = mapped_column(String(255))
    env_vars: Mapped[dict[str, Any]]
    secret_env_names: Mapped[list[Any]]
    secret_env_sealed: Mapped[str | None] = mapped_column(LongText)
    replicas: Mapped[int] = mapped_column(default=1)
    cpu_limit: Mapped[str | None] = mapped_column(String(32))
    memory_limit: Mapped[str | None] = mapped_column(String(32))
    start_command: Mapped[str | None] = mapped_column(UnicodeText)
    test_command: Mapped[str | None] = mapped_column(UnicodeText)
    health_path: Mapped[str] = mapped_column(String(500), default="/")
    health_contains: Mapped[str | None] = mapped_column(String(200))
    health_seconds: Mapped[dict[str, Any]]
    port: Mapped[int | None]
    preview_ttl_hours: Mapped[int]
    max_parallel_tasks: Mapped[int | None]
    is_restricted: Mapped[bool] = mapped_column(default=False)
    separate_approver: Mapped[bool] = mapped_column(default=False)
    keep_tests: Mapped[bool] = mapped_column(default=True)
    forbidden_paths: Mapped[list[Any]]
    limits: Mapped[dict[str, Any]]
    agent_instructions: Mapped[str] = mapped_column(LongText, default="")
    error: Mapped[str | None] = mapped_column(UnicodeText)
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
