"""The protocol of a driver: the part of an agent that turns a task's text into edits in a workspace.

The run around it clones, commits, pushes and reports. A driver only works in the directory it is given, reports what it
does, and asks questions. It has no credential. The scripted driver has this protocol; one for a coding CLI is a
ProgramDriver (drivers/program.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from common.values.runs.claimed_run import ClaimedTask, Feedback
from workers.runner.processes.cancellation import Cancellation
from workers.runner.processes.run_confinement import CommandSandbox


@dataclass(frozen=True)
class SavedSession:
    """The session of an earlier run with the same driver.

    round: of that run. head_sha: the branch's head when the session was stored. The driver decides if it is usable.
    program_session: the id with which a program resumes it; None for the scripted driver.
    """

    round: int
    head_sha: str
    program_session: str | None = None


class Platform(Protocol):
    """A driver's reports and questions to people. Every method raises Cancelled if the run is cancelled."""

    def add_text(self, text: str) -> None:
        """Add a text of the agent to the transcript."""

    def tool(self, text: str) -> None:
        """Add an action of the agent to the transcript: a command, an edit."""

    def result(self, text: str, *, ok: bool = True) -> None:
        """Add the result of an action to the transcript. The text is split into lines."""

    def progress(self, message: str, done: int | None = None, total: int | None = None) -> None:
        """Report progress. Broadcast to subscribers, never stored."""

    def review(self, verdict: str, summary: str, comments: Sequence[Mapping[str, object]]) -> None:
        """Give the verdict of a review. Raises ProviderRefused for one that the platform does not take."""

    def usage(self, *, input_tokens: int, output_tokens: int, cached_tokens: int, cost_usd: float) -> None:
        """Report the run's totals so far. Cancels the run if they exceed the task's limits."""

    def ask(self, question: str, context: str | None = None, options: tuple[str, ...] = ()) -> str | None:
        """Ask people and return the answer; None if there was none in time.

        After None the driver saves its state in its session directory and returns `waiting`. Once there is an answer,
        the next run asks the same question again and gets the answer immediately.
        """


@dataclass(frozen=True)
class Session:
    """One run's work, as a driver sees it."""

    run_id: str
    round: int
    """Starts at 1 and rises with every rejection or refusal."""
    task: ClaimedTask
    prompt: str
    """The platform's text for the agent: the task, the project's instructions, the feedback."""
    feedback: tuple[Feedback, ...]
    workspace: Path
    session_dir: Path
    """A directory for the driver's state. Stored on the platform when the run waits or completes, restored in the next
    run."""
    saved: SavedSession | None
    """None: the session directory is empty."""
    head_sha: str
    is_repeated: bool
    """Whether the branch's head is a commit of this task and round already: an earlier run was lost or is waiting."""
    environ: dict[str, str]
    """The whole environment for the driver's commands: PATH, HOME, LANG and the git identity."""
    command_sandbox: CommandSandbox
    """What confines the driver's commands."""
    cancellation: Cancellation
    platform: Platform
    is_review: bool = False
    """Whether the work of another agent is to be reviewed."""


class OutcomeKind(StrEnum):
    COMPLETED = "completed"
    WAITING = "waiting"
    FAILED = "failed"
    CUT_SHORT = "cut short"
    """The machine, the program or the provider ended it, not the task: the task is taken up again."""


@dataclass(frozen=True)
class DriverOutcome:
    """How a driver ended. summary: for the commit and the reviewer. reason: why it failed, None otherwise."""

    kind: OutcomeKind
    summary: str = ""
    reason: str | None = field(default=None)


class Driver(Protocol):
    """One way to work on a task."""

    name: str

    def work(self, session: Session) -> DriverOutcome:
        """Work until the task is done, waits for an answer, or can't be done.

        Leaves its edits in the workspace, committed or not. Raises Cancelled if the run is cancelled. Any other
        exception is a bug of the driver and fails the run.
        """
