"""What an agent receives when it claims a run: the task, the clone, the feedback, and the limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from common.values.egress import Network
from common.values.repository import Repository
from common.values.runs.model_provider import RunModels
from common.values.testing.agent_review import Purpose


@dataclass(frozen=True)
class RunAccess:
    """A run, and the token with which its agent reports on it. round: starts at 1, rises with every rejection.

    trace_parent: the traceparent of what led to it; None: it belongs to no trace. purpose: see Purpose.
    """

    id: str
    round: int
    token: str = field(repr=False)
    trace_parent: str | None = None
    purpose: str = Purpose.WORK

    @property
    def is_review(self) -> bool:
        return self.purpose == Purpose.REVIEW


@dataclass(frozen=True)
class ClaimedTask:
    """The task of a run. priority: `low` … `urgent`."""

    id: str
    title: str
    description: str = ""
    branch_name: str = ""
    priority: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClaimedProject:
    """The project of a run. test_command: None if the project has none."""

    id: str
    name: str
    default_branch: str
    test_command: str | None = None
    agent_instructions: str = ""


@dataclass(frozen=True)
class Clone:
    """The repository and branch of a run, to clone from and push to.

    url: empty until the web layer has asked the forge for it. username, password: None if none are needed. commit: what
    to check out, for a review; None: the branch's head.
    """

    url: str
    branch: str
    base_branch: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    commit: str | None = None


@dataclass(frozen=True)
class FeedbackComment:
    """A person's comment on lines. path, line: None for a general comment.

    start_line: the first line of a range that ends at line; None: that line alone. side: `old` for the version before
    the change; None: the new one. commit_sha: the commit that it was written on; None: unknown.
    """

    id: str
    body: str
    path: str | None = None
    line: int | None = None
    start_line: int | None = None
    side: str | None = None
    commit_sha: str | None = None


@dataclass(frozen=True)
class Feedback:
    """Feedback that a run has to act on. comments: part of it.

    kind: rejection, refusal, group, comment, message, note or answer.
    """

    kind: str
    body: str
    comments: tuple[FeedbackComment, ...] = ()


@dataclass(frozen=True)
class Limits:
    """Limits of one run; None: no limit. max_tokens: the sum of input and output."""

    max_cost_usd: float | None = None
    max_tokens: int | None = None
    max_minutes: float | None = None


@dataclass(frozen=True)
class ClaimedService:
    """A database that the run gets for itself. kind: such as `postgresql`. version: None: any that is installed."""

    kind: str
    version: str | None = None


@dataclass(frozen=True)
class ClaimedAttachment:
    """A file that people added to the task; its bytes are fetched by its id. name: unique in the task."""

    id: str
    name: str
    media_type: str
    size_bytes: int


@dataclass(frozen=True)
class Directive:
    """An instruction to an agent: `cancel` the run run_id, or `drain` (run_id None)."""

    do: str
    run_id: str | None = None


@dataclass(frozen=True)
class AskedQuestion:
    """A question that the platform has stored. response: None until it is answered."""

    id: str
    response: str | None = None


@dataclass(frozen=True)
class ClaimedRun:
    """Everything that a runner needs. It contains the run's token and the forge password: send it only to the run's
    agent.

    repository: the cloned repository; not sent to the runner. driver: the chosen one; None from older platforms: the
    agent's default. model: None: the driver's own choice. models: None: there is no provider of models.
    session_driver: the driver that saved a session of the task; None: there is none. has_session: whether the run can
    go on with it, as its driver is the same. prompt: with a session only what it does not know yet, else the same as
    fresh_prompt. fresh_prompt: everything, for when the session can't be used; empty from older platforms.
    setup_command: makes the clone ready for work; None: nothing to do. cache_paths: folders of the clone that are kept
    between runs. network: what the run's programs may reach.
    """

    run: RunAccess
    task: ClaimedTask
    project: ClaimedProject
    clone: Clone
    prompt: str = ""
    feedback: tuple[Feedback, ...] = ()
    limits: Limits = field(default_factory=Limits)
    driver: str | None = None
    has_session: bool = False
    repository: Repository | None = None
    model: str | None = None
    models: RunModels | None = None
    session_driver: str | None = None
    fresh_prompt: str = ""
    setup_command: str | None = None
    cache_paths: tuple[str, ...] = ()
    services: tuple[ClaimedService, ...] = ()
    attachments: tuple[ClaimedAttachment, ...] = ()
    network: Network = field(default_factory=Network)
