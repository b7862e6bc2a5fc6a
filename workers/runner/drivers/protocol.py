"""What a driver is: the part that turns a task's words into edits in a workspace.

The run around it clones, commits, pushes and reports; a driver only works in the directory it is given, says what it
does, and asks. It holds no credential. A driver for a command line agent runs it with
`processes.run_command(argv, cwd=session.workspace, environ=session.environ | its own, cancellation=…)`, so that its
whole process tree dies with the run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from common.values.claimed_run import ClaimedTask, Feedback
from workers.runner.cancellation import Cancellation


@dataclass(frozen=True)
class SavedSession:
    """What an earlier run of the same driver left in the session directory.

    round: of that run. head_sha: the branch's head when it was kept. A driver decides what that is still worth.
    """

    round: int
    head_sha: str


class Platform(Protocol):
    """How a driver speaks to people. Every method raises Cancelled once the run is to stop."""

    def say(self, text: str) -> None:
        """The agent's own words, for the transcript."""

    def tool(self, text: str) -> None:
        """What the agent does now: a command, an edit."""

    def result(self, text: str, *, ok: bool = True) -> None:
        """What came of it. Longer text is cut into lines."""

    def progress(self, message: str, done: int | None = None, total: int | None = None) -> None:
        """How far it is. Seen by whoever watches, kept by nobody."""

    def usage(self, *, input_tokens: int, output_tokens: int, cached_tokens: int, cost_usd: float) -> None:
        """This run's totals so far. Beyond the task's limits the run is stopped."""

    def ask(self, question: str, context: str | None = None, options: tuple[str, ...] = ()) -> str | None:
        """A person's answer; None if there was none in time.

        After None the driver writes what it needs into its session directory and returns `waiting`. The run that
        follows an answer asks the same question again and gets it at once.
        """


@dataclass(frozen=True)
class Session:
    """One run's work, as a driver sees it."""

    run_id: str
    round: int
    """Starts at 1 and rises with every rejection or refusal."""
    task: ClaimedTask
    prompt: str
    """What the platform says to an agent: the task, the project's instructions, the feedback."""
    feedback: tuple[Feedback, ...]
    workspace: Path
    session_dir: Path
    """The driver's own; kept on the platform when the run waits or completes, and there again in the next one."""
    saved: SavedSession | None
    """None: the session directory is empty."""
    head_sha: str
    is_repeated: bool
    """Whether the branch's head is a commit of this task and round already: an earlier run was lost, or waited."""
    environ: dict[str, str]
    """The whole environment of its commands: PATH, HOME, LANG and git identities."""
    cancellation: Cancellation
    platform: Platform


class OutcomeKind(StrEnum):
    COMPLETED = "completed"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """How a driver ended. summary: for the commit and the reviewer. reason: why it failed, None otherwise."""

    kind: OutcomeKind
    summary: str = ""
    reason: str | None = field(default=None)


class Driver(Protocol):
    """One way to work on a task."""

    name: str

    def work(self, session: Session) -> Outcome:
        """Work until the task is done, a question has to wait, or it can't be done.

        Leaves its edits in the workspace, committed or not. Raises Cancelled when told to stop. Any other exception
        is a bug of the driver's; it fails the run.
        """
