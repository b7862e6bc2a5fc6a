"""The durable events, one frozen dataclass each. Their names and data are part of the API.

`feed` is the id of the project whose feed records the event, PLATFORM or ADMINISTRATION. An attribute that is None is
left out of the event's data.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from common.machine.text import camel_case

PLATFORM = "platform"
"""The feed of events that belong to no project."""

ADMINISTRATION = "administration"
"""The feed of what is done to users, tokens and the platform's settings. Only administrators may read it."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """feed: a project's id, PLATFORM or ADMINISTRATION. subject_task_id: the task whose timeline shows the event;
    None: no task's.
    """

    name: ClassVar[str]
    feed: str
    subject_task_id: str | None = None

    def body(self) -> dict[str, object]:
        """The event's `data`, with camelCase names, without attributes that are None."""
        values, kind = vars(self), type(self)
        members = _shown.get(kind) or _shown.setdefault(kind, _members(kind))
        return {name: values[field] for name, field in members if values[field] is not None}


_shown: dict[type[Event], tuple[tuple[str, str], ...]] = {}


def _members(kind: type[Event]) -> tuple[tuple[str, str], ...]:
    """What an event's `data` may hold: each name, and the attribute that it shows."""
    hidden = {"feed", "subject_task_id"}
    return tuple((camel_case(field.name), field.name) for field in fields(kind) if field.name not in hidden)


@dataclass(frozen=True, kw_only=True)
class TaskCreated(Event):
    name: ClassVar[str] = "task:created"
    task_id: str
    project_id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class TaskStatusChanged(Event):
    name: ClassVar[str] = "task:status_changed"
    task_id: str
    old_state: str
    new_state: str
    preview_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskUpdated(Event):
    """Fields of the task other than its state changed; `changed` names them."""

    name: ClassVar[str] = "task:updated"
    task_id: str
    changed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TaskReviewed(Event):
    """A person submitted a review. verdict: comment, approve or reject. comments: how many came with it."""

    name: ClassVar[str] = "task:reviewed"
    task_id: str
    verdict: str
    comments: int


@dataclass(frozen=True, kw_only=True)
class TaskReviewOverruled(Event):
    """A person goes on with a proven commit without the review by another agent."""

    name: ClassVar[str] = "task:review_overruled"
    task_id: str
    commit_sha: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class TaskNeedsInput(Event):
    name: ClassVar[str] = "task:needs_input"
    task_id: str
    question_id: str
    question: str


@dataclass(frozen=True, kw_only=True)
class QuestionAnswered(Event):
    name: ClassVar[str] = "question:answered"
    task_id: str
    question_id: str
    response: str


@dataclass(frozen=True, kw_only=True)
class QuestionReminded(Event):
    """Nobody has answered a question for a while. escalated_to: the person who is asked now; None: the project's.

    not_asked: the person whom the project's rules name, if this one can't answer there any more.
    """

    name: ClassVar[str] = "question:reminded"
    task_id: str
    question_id: str
    question: str
    escalated_to: str | None = None
    not_asked: str | None = None


@dataclass(frozen=True, kw_only=True)
class SpendWarning(Event):
    """Most of a cap is used. In the platform's feed for its caps, else in the project's; task_id: of a task's cap.

    scope: `task`, `project` or `platform`. cap: `tokens`, `costUsd`, `minutes` or `runs`. period: `day` or `total`.
    """

    name: ClassVar[str] = "spend:warning"
    task_id: str | None = None
    scope: str
    cap: str
    period: str
    used: float
    limit: float


@dataclass(frozen=True, kw_only=True)
class AgentStatus(Event):
    """Recorded in the feed of the project whose task the agent takes or leaves, else in the platform's feed.

    A project is told `busy` with the first of its tasks that the agent takes, and with the last one that it leaves
    `idle`, also while the agent works for other projects, or what else the agent is then.

    last_task_id: None in the platform's feed, which everybody reads.
    """

    name: ClassVar[str] = "agent:status"
    agent_id: str
    status: str
    last_task_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class AgentDeleted(Event):
    """A person deleted the agent. In the platform's feed."""

    name: ClassVar[str] = "agent:deleted"
    feed: str = PLATFORM
    agent_id: str
    pod_name: str


@dataclass(frozen=True, kw_only=True)
class JobRetried(Event):
    """A person started a failed job again. In the feed of administrators for a job that belongs to no project."""

    name: ClassVar[str] = "job:retried"
    job_id: str
    kind: str
    subject_id: str


@dataclass(frozen=True, kw_only=True)
class TaskGroupUpdated(Event):
    """Something of the group other than its status changed. changed: `taskIds` (task_id was taken out), `wantsStaging`
    (it goes to staging once it is merged; after `error`, it does not), `acceptRolledBack` (it may bring back what was
    rolled back), `error`, or `headSha` (its branch is built again).
    """

    name: ClassVar[str] = "task-group:updated"
    task_group_id: str
    changed: tuple[str, ...]
    task_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskGroupStatusChanged(Event):
    name: ClassVar[str] = "task-group:status_changed"
    task_group_id: str
    old_status: str | None
    new_status: str


@dataclass(frozen=True, kw_only=True)
class ProjectStatusChanged(Event):
    """changed: the settings that a person changed, by their names in the API, without values; None: none did."""

    name: ClassVar[str] = "project:status_changed"
    project_id: str
    old_status: str | None
    new_status: str
    changed: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class ProjectMemberChanged(Event):
    """old_role: None: the user was no member before. new_role: None: the user is none any more."""

    name: ClassVar[str] = "project:member_changed"
    project_id: str
    user_id: str
    username: str
    old_role: str | None
    new_role: str | None


@dataclass(frozen=True, kw_only=True)
class UserChanged(Event):
    """change: `created`, `role`, `password`, `active` or `deleted`. old_role, new_role: also of who was created or
    deleted. is_active: None unless the change is `active`.
    """

    name: ClassVar[str] = "user:changed"
    feed: str = ADMINISTRATION
    user_id: str
    username: str
    change: str
    old_role: str | None = None
    new_role: str | None = None
    is_active: bool | None = None


@dataclass(frozen=True, kw_only=True)
class TokenChanged(Event):
    """kind: `api` or `enrolment`. change: `created` or `revoked`. token_name, role, user_id: of an API token."""

    name: ClassVar[str] = "token:changed"
    feed: str = ADMINISTRATION
    token_id: str
    kind: str
    change: str
    token_name: str | None = None
    role: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class SettingsChanged(Event):
    """what: `webhook`, `model_provider` or `caps`. change: `created`, `changed` or `deleted`. changed: the names of the
    fields, without values. id, item_name: of a model provider.
    """

    name: ClassVar[str] = "settings:changed"
    feed: str = ADMINISTRATION
    what: str
    change: str
    id: str | None = None
    item_name: str | None = None
    changed: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class BranchPushed(Event):
    """A person pushed to the default branch or to a task's branch. old_sha None: the branch is new."""

    name: ClassVar[str] = "branch:pushed"
    project_id: str
    branch: str
    new_sha: str
    old_sha: str | None = None
    task_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class BaseTested(Event):
    """The tests of the default branch fail, or do so no more. reason: None if they pass."""

    name: ClassVar[str] = "project:base_tested"
    project_id: str
    commit_sha: str
    is_red: bool
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class QuarantineBegun(Event):
    """Until then, failures of a flaky test count for nothing. owner: who answers for the project's rule that began it;
    None: a person began it."""

    name: ClassVar[str] = "test:quarantined"
    project_id: str
    test: str
    until: str
    reason: str
    owner: str | None = None


@dataclass(frozen=True, kw_only=True)
class QuarantineEnded(Event):
    name: ClassVar[str] = "test:released"
    project_id: str
    test: str


@dataclass(frozen=True, kw_only=True)
class RollbackRequested(Event):
    """The environment is rolled back. deployment_id: of the new deployment, of the version commit_sha. rollback_of: the
    deployment that is rolled back. reason: why the platform does it by itself; None: a person asked for it."""

    name: ClassVar[str] = "deploy:rollback_requested"
    deployment_id: str
    environment: str
    rollback_of: str
    commit_sha: str
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeployFailing(Event):
    """The live version of staging or production does not stay up. It was well until now."""

    name: ClassVar[str] = "deploy:failing"
    deployment_id: str
    environment: str
    error: str


@dataclass(frozen=True, kw_only=True)
class DeployRecovered(Event):
    """A live version that was failing is well again."""

    name: ClassVar[str] = "deploy:recovered"
    deployment_id: str
    environment: str


@dataclass(frozen=True, kw_only=True)
class DeployStarted(Event):
    name: ClassVar[str] = "deploy:started"
    deployment_id: str
    environment: str


@dataclass(frozen=True, kw_only=True)
class DeployCompleted(Event):
    name: ClassVar[str] = "deploy:completed"
    deployment_id: str
    environment: str
    url: str


@dataclass(frozen=True, kw_only=True)
class DeployFailed(Event):
    name: ClassVar[str] = "deploy:failed"
    deployment_id: str
    environment: str
    error: str


@dataclass(frozen=True, kw_only=True)
class DeployUrlChanged(Event):
    """A live version has another address: the runtime was given another host, or had to take another port."""

    name: ClassVar[str] = "deploy:url_changed"
    deployment_id: str
    environment: str
    url: str


@dataclass(frozen=True, kw_only=True)
class DeploySuperseded(Event):
    """A deployment that had started ends without serving: it was cancelled, or a newer one replaces it."""

    name: ClassVar[str] = "deploy:superseded"
    deployment_id: str
    environment: str


DURABLE: tuple[type[Event], ...] = tuple(Event.__subclasses__())
