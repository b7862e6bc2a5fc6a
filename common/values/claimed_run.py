"""What an agent is handed with a run: the task, the clone, what to act on, and what it may use up."""

from __future__ import annotations

from dataclasses import dataclass, field

from common.values.repository import Repository


@dataclass(frozen=True)
class RunPass:
    """The run, and the token by which its agent reports on it. round: starts at 1, rises with every rejection."""

    id: str
    round: int
    token: str = field(repr=False)


@dataclass(frozen=True)
class ClaimedTask:
    """priority: its label (`low` … `urgent`)."""

    id: str
    title: str
    description: str = ""
    branch_name: str = ""
    priority: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClaimedProject:
    """test_command None: the project names no tests."""

    id: str
    name: str
    default_branch: str
    test_command: str | None = None
    agent_instructions: str = ""


@dataclass(frozen=True)
class Clone:
    """Where a run's branch lives: what to clone, and where to push. username and password are None without one.

    url: empty until the forge has been asked for it, which a service can't do.
    """

    url: str
    branch: str
    base_branch: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class FeedbackComment:
    """A person's comment on a line. path and line are None for a general one."""

    id: str
    body: str
    path: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Feedback:
    """What a run has to act on. kind: rejection, refusal, group, comment or answer. comments belong to it."""

    kind: str
    body: str
    comments: tuple[FeedbackComment, ...] = ()


@dataclass(frozen=True)
class Limits:
    """What one run may use up. None: without a limit. max_tokens: input and output together."""

    max_cost_usd: float | None = None
    max_tokens: int | None = None
    max_minutes: float | None = None


@dataclass(frozen=True)
class Directive:
    """What the platform tells an agent to do: `cancel` a run, or `drain`. run_id None: for the agent as a whole."""

    do: str
    run_id: str | None = None


@dataclass(frozen=True)
class AskedQuestion:
    """A question as the platform keeps it. response None: it is not answered yet."""

    id: str
    response: str | None = None


@dataclass(frozen=True)
class ClaimedRun:
    """All that a runner needs. It holds the run's token and the forge's password: send it to the run's agent only.

    repository: what the clone is of; the runner is not told. driver: None leaves it to the agent's own. has_session: an
    earlier run of the task left a session.
    """

    run: RunPass
    task: ClaimedTask
    project: ClaimedProject
    clone: Clone
    prompt: str = ""
    feedback: tuple[Feedback, ...] = ()
    limits: Limits = field(default_factory=Limits)
    driver: str | None = None
    has_session: bool = False
    repository: Repository | None = None
