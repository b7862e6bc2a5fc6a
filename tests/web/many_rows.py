"""A database with rows in every table that grows, spread over projects and times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import LargeBinary, Table

from common import database, models
from common.database import JsonText, StoredValue, UtcDateTime
from common.models.base import Base
from common.models.spend import SpendCounter
from common.names import new_id
from common.states import DeploymentState, GroupState, JobState, TaskState

BEGAN_AT = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 300
PROJECTS = 12

Value = Callable[[int], Any]


class ManyRows:
    """ids: the ids of each table's rows."""

    def __init__(self, user_ids: list[str]) -> None:
        self.ids: dict[str, list[str]] = {"users": user_ids}
        self._fill()

    def of(self, table: str) -> Value:
        """Each of the table's ids in turn."""
        ids = self.ids[table]
        return lambda number: ids[number % len(ids)]

    def _fill(self) -> None:
        names: dict[str, Value] = dict.fromkeys(("shown_name", "name", "slug", "namespace"), _text)
        restricted: Value = lambda number: number % 2 == 0  # noqa: E731
        self._put(models.Project, PROJECTS, state=lambda _: "active", is_restricted=restricted, **names)
        self._put(models.Agent, 60, id=lambda number: f"agent-{number:012x}", digest=_text, state=lambda _: "idle")
        own = {"project_id": self.of("projects")}
        self._put(
            models.Task, 2 * MANY, state=_in(TaskState), priority=lambda number: 1 + number % 4, title=_text, **own
        )
        self._put(models.TaskGroup, MANY, state=_in(GroupState), branch=_text, build=lambda _: {}, **own)
        of_task = {"task_id": self.of("tasks")}
        of_group = {"group_id": self.of("task_groups")}
        members = MANY * 2
        self._put(models.GroupMember, members, group_id=lambda n: self.ids["task_groups"][n // 2], **of_task)
        self._put(models.GroupTest, MANY, **of_group)
        environments = itertools.cycle(("preview", "preview", "staging", "production"))
        self._put(
            models.Deployment, MANY, state=_in(DeploymentState), environment=lambda _: next(environments),
            app_name=_text, task_id=self.of("tasks"), task_group_id=self.of("task_groups"), **own,
        )  # fmt: skip
        self._put(models.HealthSpan, MANY, deployment_id=self.of("deployments"), **own)
        self._put(models.CommitVerdict, MANY, commit_sha=_text, **own)
        self._put(
            models.Job, 2 * MANY, kind=lambda _: "deployment.deploy", subject_id=self.of("tasks"), finished_at=_at,
            next_at=lambda _: datetime.now(UTC) + timedelta(days=1), **own,
            state=lambda number: {0: JobState.FAILED, 1: JobState.QUEUED}.get(number % 50, JobState.DONE),
        )  # fmt: skip
        self._put(
            models.EventRow, 2 * MANY, feed_id=own["project_id"], seq=lambda number: 1 + number // PROJECTS,
            name=lambda _: "task:updated", data=lambda _: '{"event": "task:updated", "data": {}}', **of_task,
        )  # fmt: skip
        self._put(models.Feed, PROJECTS, id=own["project_id"], seq=lambda _: 2 * MANY // PROJECTS)
        self._put(
            models.Run,
            MANY,
            token_digest=_text,
            agent_id=self.of("agents"),
            state=lambda number: "ended" if number % 50 else "running",
            seen_at=lambda _: datetime.now(UTC) + timedelta(days=1),
            **own,
            **of_task,
        )
        of_run = {"run_id": self.of("runs")}
        self._put(models.LogEntry, 2 * MANY, id=lambda number: number + 1, agent_id=self.of("agents"), **of_run)
        self._put(models.ModelCall, MANY, **own, **of_task, **of_run)
        state = {"state": lambda number: "answered" if number % 50 else "pending"}
        self._put(models.Question, MANY, id=lambda _: f"q-{new_id()}", fingerprint=_text, **state, **of_task)
        self._put(models.Comment, MANY, **of_task)
        self._put(models.PendingComment, MANY, user_id=self.of("users"), **of_task)
        self._put(models.TaskCheck, MANY, name=lambda number: f"check-{number}", **of_task, **of_run)
        self._put(models.Proposal, MANY, fingerprint=_text, state=lambda _: "dismissed", **of_task, **of_run)
        self._put(models.Attachment, MANY, name=_text, **of_task)
        self._put(models.TaskDependency, MANY, depends_on_id=lambda n: self.ids["tasks"][n + MANY], **of_task)
        self._put(models.RunSession, MANY, **of_task)
        self._put(models.WebhookDelivery, MANY, body=lambda _: '{"text": "", "data": {}}', delivered_at=_at)
        self._put(models.IdempotencyKey, MANY, key=_text)
        self._put(models.Login, MANY, user_id=self.of("users"), ended_at=_at)
        self._put(models.Push, MANY, settled_at=lambda number: _at(number) if number % 50 else None, **own, **of_task)
        self._put(SpendCounter, MANY, scope=lambda _: "task", period=lambda _: "all", subject_id=self.of("tasks"))

    def _put(self, model: type[Base], number: int, **values: Value) -> None:
        table: Any = model.__table__
        rows = [_row(table, place, values) for place in range(number)]
        with database.engine().connect() as connection:
            connection.execute(table.insert(), rows)
            connection.commit()
        if "id" in table.c:
            self.ids.setdefault(table.name, [row["id"] for row in rows])


def _row(table: Table, number: int, values: Mapping[str, Value]) -> dict[str, Any]:
    return {
        column.name: values[column.name](number) if column.name in values else _something(column, number)
        for column in table.columns
        if column.name in values or not column.nullable
    }


def _something(column: Any, number: int) -> Any:
    if column.name == "id" or column.name.endswith("_id"):
        return new_id()
    if isinstance(column.type, LargeBinary):
        return b""
    if isinstance(column.type, UtcDateTime):
        return _at(number)
    if isinstance(column.type, JsonText | StoredValue):
        return [] if column.name in LISTS else {}
    return {int: 0, bool: False, float: 0.0}.get(column.type.python_type, "")


LISTS = {
    "capabilities", "drivers", "findings", "secret_env_names", "secrets_in_checks", "secrets_in_previews", "labels",
    "forbidden_paths", "cache_paths", "services", "egress_hosts", "required_capabilities", "edited_by_ids", "problems",
    "options", "warned",
}  # fmt: skip


def _text(number: int) -> str:
    return f"name-{number}"


def _at(number: int) -> datetime:
    return BEGAN_AT + timedelta(minutes=number)


def _in(states: Any) -> Value:
    """Each state in turn; but none of work under way, which is little however much there was."""
    over = [state for state in states if state in OVER]
    return lambda number: over[number % len(over)]


OVER = {
    TaskState.PRODUCTION, TaskState.CANCELLED, TaskState.FAILED, TaskState.BACKLOG, GroupState.PRODUCTION,
    GroupState.CANCELLED, GroupState.FAILED, DeploymentState.COMPLETED, DeploymentState.FAILED,
    DeploymentState.SUPERSEDED,
}  # fmt: skip
