"""The states of projects, tasks, runs, agents, groups, deployments and jobs, and the edges between them.

An edge names who may take it: a person, or the platform (also after an agent's report). Any other change of state is
refused by `change_state` with a 409 that names the present state.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum


class Role(IntEnum):
    """What a person may do. Each role includes the lower ones."""

    VIEWER = 1
    """Reads."""
    MEMBER = 2
    """Also creates and edits tasks and answers questions."""
    MAINTAINER = 3
    """Also approves, rejects, groups, deploys, rolls back and manages projects."""
    ADMIN = 4
    """Also manages users and sees every project."""

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> Role:
        return cls[label.upper()]


class By(StrEnum):
    """Who takes an edge."""

    PERSON = "person"
    PLATFORM = "platform"


_P = frozenset({By.PERSON})
_S = frozenset({By.PLATFORM})
_B = _P | _S

Edges = Mapping[tuple[StrEnum, StrEnum], frozenset[By]]


def sources(edges: Edges, new: StrEnum, by: By) -> frozenset[StrEnum]:
    """The states from which `by` may move an object to `new`."""
    return frozenset(old for (old, target), who in edges.items() if target is new and by in who)


class ProjectState(StrEnum):
    PROVISIONING = "provisioning"
    """Repository and namespace are being created. Tasks may be written; none starts."""
    ACTIVE = "active"
    """Tasks may start."""
    FAILED = "failed"
    """The forge or the runtime refused provisioning. `error` says why; retry starts it again."""
    DELETING = "deleting"
    """The project is being removed outside, then its rows are deleted."""


PROJECT_EDGES: Edges = {
    (ProjectState.PROVISIONING, ProjectState.ACTIVE): _S,
    (ProjectState.PROVISIONING, ProjectState.FAILED): _S,
    (ProjectState.FAILED, ProjectState.PROVISIONING): _P,
    (ProjectState.PROVISIONING, ProjectState.DELETING): _P,
    (ProjectState.ACTIVE, ProjectState.DELETING): _P,
    (ProjectState.FAILED, ProjectState.DELETING): _P,
}


class TaskState(StrEnum):
    BACKLOG = "backlog"
    """Waiting for an agent."""
    IN_PROGRESS = "in_progress"
    """An agent works on it, it waits for an agent to continue, or its work is being verified: see Phase."""
    NEEDS_INPUT = "needs_input"
    """A person has to answer a question."""
    READY_TO_TEST = "ready_to_test"
    """The commit head_sha passed all checks; a person has to approve or reject it."""
    APPROVED = "approved"
    """A person approved the commit approved_sha."""
    STAGING = "staging"
    """Part of a group that runs on staging."""
    PRODUCTION = "production"
    """Delivered."""
    FAILED = "failed"
    """Given up after too many attempts. Retry puts it back into the backlog."""
    CANCELLED = "cancelled"
    """Cancelled by a person."""


class Phase(StrEnum):
    """What happens to a task in IN_PROGRESS."""

    QUEUED = "queued"
    """Waiting for an agent to continue it."""
    WORKING = "working"
    """It has a live run."""
    VERIFYING = "verifying"
    """Its agent reported that it is done; the platform verifies the commit."""
    HELD = "held"
    """A person works on its branch by hand, until they hand it back."""
    PARKED = "parked"
    """It waits until a provider of models takes calls again, or until a cap of spending leaves room."""


TASK_EDGES: Edges = {
    (TaskState.BACKLOG, TaskState.IN_PROGRESS): _S,
    (TaskState.IN_PROGRESS, TaskState.NEEDS_INPUT): _S,
    (TaskState.NEEDS_INPUT, TaskState.IN_PROGRESS): _B,
    (TaskState.IN_PROGRESS, TaskState.BACKLOG): _S,
    (TaskState.IN_PROGRESS, TaskState.READY_TO_TEST): _S,
    (TaskState.IN_PROGRESS, TaskState.FAILED): _S,
    (TaskState.NEEDS_INPUT, TaskState.BACKLOG): _S,
    (TaskState.NEEDS_INPUT, TaskState.FAILED): _S,
    (TaskState.READY_TO_TEST, TaskState.APPROVED): _P,
    (TaskState.READY_TO_TEST, TaskState.IN_PROGRESS): _B,
    (TaskState.APPROVED, TaskState.IN_PROGRESS): _S,
    (TaskState.APPROVED, TaskState.STAGING): _S,
    (TaskState.STAGING, TaskState.APPROVED): _B,
    (TaskState.STAGING, TaskState.PRODUCTION): _S,
    (TaskState.FAILED, TaskState.BACKLOG): _P,
    (TaskState.FAILED, TaskState.IN_PROGRESS): _P,
    (TaskState.BACKLOG, TaskState.CANCELLED): _P,
    (TaskState.IN_PROGRESS, TaskState.CANCELLED): _P,
    (TaskState.NEEDS_INPUT, TaskState.CANCELLED): _P,
    (TaskState.READY_TO_TEST, TaskState.CANCELLED): _P,
    (TaskState.APPROVED, TaskState.CANCELLED): _P,
}

DELIVERABLE = frozenset({TaskState.APPROVED, TaskState.STAGING, TaskState.PRODUCTION})
"""States in which a task counts as done for the tasks that depend on it."""

OVER = frozenset({TaskState.PRODUCTION, TaskState.CANCELLED})
"""States that a task never leaves."""

UNDER_WAY = frozenset({TaskState.IN_PROGRESS, TaskState.NEEDS_INPUT})
"""States that count towards a project's maxParallelTasks, but for parked tasks."""


class Priority(IntEnum):
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    URGENT = 4

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> Priority:
        return cls[label.upper()]


class QuestionState(StrEnum):
    PENDING = "pending"
    """Waits for a person's answer."""
    ANSWERED = "answered"
    """A person has answered; the answer is in `response`."""
    WITHDRAWN = "withdrawn"
    """Its task was cancelled or given up, or its agent finished without the answer."""


class ProposalState(StrEnum):
    PROPOSED = "proposed"
    """Waits for a person's decision."""
    ACCEPTED = "accepted"
    """The task exists."""
    DISMISSED = "dismissed"
    """Nobody wants it."""


class RunState(StrEnum):
    PREPARING = "preparing"
    """Assigned to an agent; its branch and credential are being created."""
    READY = "ready"
    """The agent may claim it."""
    RUNNING = "running"
    """The agent has claimed it."""
    ENDED = "ended"
    """Over; its token is not valid any more. `outcome` says how it ended."""


RUN_EDGES: Edges = {
    (RunState.PREPARING, RunState.READY): _S,
    (RunState.READY, RunState.RUNNING): _S,
    (RunState.PREPARING, RunState.ENDED): _B,
    (RunState.READY, RunState.ENDED): _B,
    (RunState.RUNNING, RunState.ENDED): _B,
}


class Outcome(StrEnum):
    """How a run ended: as its agent reported, or `lost`."""

    COMPLETED = "completed"
    """The agent says that the work is done; the platform verifies it."""
    WAITING = "waiting"
    """The agent asked a question and ended; the answer starts another run."""
    FAILED = "failed"
    """The agent could not do the task; `reason` says why."""
    CANCELLED = "cancelled"
    """The task was cancelled, or the agent's machine ended the run."""
    LOST = "lost"
    """The agent was not heard of for a minute, or the run could not be prepared."""


class AgentState(StrEnum):
    STARTING = "starting"
    """Registered; no heartbeat yet."""
    IDLE = "idle"
    """Waiting for work."""
    BUSY = "busy"
    """Has at least one live run."""
    DRAINING = "draining"
    """Finishes its runs and takes no new ones."""
    OFFLINE = "offline"
    """No heartbeat for a minute in which a web process was there to hear it."""
    ERROR = "error"
    """Reported that it can't work."""


AGENT_EDGES: Edges = {
    **{
        (old, new): _S
        for old in AgentState
        for new in (AgentState.IDLE, AgentState.BUSY, AgentState.OFFLINE, AgentState.ERROR)
        if old is not new
    },
    **{(old, AgentState.DRAINING): _B for old in AgentState if old is not AgentState.DRAINING},
}


class GroupState(StrEnum):
    PENDING = "pending"
    """Created; merging has not begun."""
    MERGING = "merging"
    """The release branch is being built on the default branch's head, and tested."""
    MERGED = "merged"
    """The release branch's head passed the tests."""
    DEPLOYING_STAGING = "deploying_staging"
    """The release branch's head is being brought to staging."""
    STAGING = "staging"
    """Runs on staging and is healthy."""
    DEPLOYING_PRODUCTION = "deploying_production"
    """What runs on staging is being brought to production."""
    PRODUCTION = "production"
    """Delivered: the default branch points at the tested commit."""
    FAILED = "failed"
    """Could not be tested or deployed. `problems` and `error` say why; retry starts it again."""
    CONFLICT = "conflict"
    """No task is left in it. `problems` names the tasks that were taken out, and why."""
    CANCELLED = "cancelled"
    """A person gave the group up; its tasks can be put into another one."""


GROUP_EDGES: Edges = {
    (GroupState.PENDING, GroupState.MERGING): _S,
    (GroupState.PENDING, GroupState.CONFLICT): _S,
    (GroupState.MERGING, GroupState.MERGED): _S,
    (GroupState.MERGING, GroupState.FAILED): _S,
    (GroupState.MERGING, GroupState.CONFLICT): _S,
    (GroupState.MERGED, GroupState.DEPLOYING_STAGING): _B,
    (GroupState.MERGED, GroupState.MERGING): _B,
    (GroupState.MERGED, GroupState.CONFLICT): _S,
    (GroupState.DEPLOYING_STAGING, GroupState.STAGING): _S,
    (GroupState.DEPLOYING_STAGING, GroupState.FAILED): _S,
    (GroupState.STAGING, GroupState.DEPLOYING_PRODUCTION): _P,
    (GroupState.STAGING, GroupState.MERGING): _B,
    (GroupState.DEPLOYING_PRODUCTION, GroupState.PRODUCTION): _S,
    (GroupState.DEPLOYING_PRODUCTION, GroupState.STAGING): _S,
    (GroupState.DEPLOYING_PRODUCTION, GroupState.MERGING): _S,
    (GroupState.FAILED, GroupState.MERGING): _P,
    (GroupState.FAILED, GroupState.CONFLICT): _S,
    (GroupState.PENDING, GroupState.CANCELLED): _P,
    (GroupState.MERGING, GroupState.CANCELLED): _P,
    (GroupState.MERGED, GroupState.CANCELLED): _P,
    (GroupState.DEPLOYING_STAGING, GroupState.CANCELLED): _P,
    (GroupState.STAGING, GroupState.CANCELLED): _P,
    (GroupState.FAILED, GroupState.CANCELLED): _P,
}

GROUP_LIVE = frozenset(GroupState) - {GroupState.PRODUCTION, GroupState.CONFLICT, GroupState.CANCELLED}
"""States in which a group holds its tasks, so that none of them can be in another live group."""


class Environment(StrEnum):
    PREVIEW = "preview"
    STAGING = "staging"
    PRODUCTION = "production"


class DeploymentState(StrEnum):
    PENDING = "pending"
    """Requested; nothing has been started."""
    IN_PROGRESS = "in_progress"
    """Being started and health-checked. The version before it still serves."""
    COMPLETED = "completed"
    """Passed its health check. The newest completed deployment of an environment serves there."""
    FAILED = "failed"
    """Never became healthy; `error` says why. The version before it still serves."""
    ROLLED_BACK = "rolled_back"
    """Was live; a rollback put an older version in its place."""
    SUPERSEDED = "superseded"
    """Was live or under way; a newer deployment took its place, or it was taken down."""


DEPLOYMENT_EDGES: Edges = {
    (DeploymentState.PENDING, DeploymentState.IN_PROGRESS): _S,
    (DeploymentState.PENDING, DeploymentState.FAILED): _S,
    (DeploymentState.PENDING, DeploymentState.SUPERSEDED): _B,
    (DeploymentState.IN_PROGRESS, DeploymentState.COMPLETED): _S,
    (DeploymentState.IN_PROGRESS, DeploymentState.FAILED): _S,
    (DeploymentState.IN_PROGRESS, DeploymentState.SUPERSEDED): _B,
    (DeploymentState.COMPLETED, DeploymentState.ROLLED_BACK): _S,
    (DeploymentState.COMPLETED, DeploymentState.SUPERSEDED): _B,
}

ACTIVE_DEPLOYMENT = frozenset({DeploymentState.PENDING, DeploymentState.IN_PROGRESS})
"""At most one deployment of an app is in one of these."""


class JobState(StrEnum):
    QUEUED = "queued"
    """Runs as soon as `next_at` has passed."""
    RUNNING = "running"
    """Claimed by a worker until `lease_until`; after that another worker may claim it."""
    DONE = "done"
    """Its result is recorded."""
    FAILED = "failed"
    """Parked after too many attempts. Retry starts it again."""
    CANCELLED = "cancelled"
    """Part of the API; no job reaches it at present."""


JOB_EDGES: Edges = {
    (JobState.QUEUED, JobState.RUNNING): _S,
    (JobState.RUNNING, JobState.RUNNING): _S,
    (JobState.RUNNING, JobState.QUEUED): _S,
    (JobState.RUNNING, JobState.DONE): _S,
    (JobState.RUNNING, JobState.FAILED): _S,
    (JobState.FAILED, JobState.QUEUED): _P,
}

LIVE_JOB = frozenset({JobState.QUEUED, JobState.RUNNING})
"""For each kind and subject, at most one job is in one of these."""
