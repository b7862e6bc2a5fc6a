"""Settings of one run of an agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from common.values.runs.claimed_run import ClaimedRun
from workers.runner.attempt.disk_watch import DiskBounds
from workers.runner.programs.program_process import ProgramTimeouts
from workers.sandbox.limits import Bounds


def _no_token() -> str | None:
    return None


def _leave(_claimed: ClaimedRun) -> None:
    """Nothing asked for it, so there is none."""


@dataclass(frozen=True)
class NextRun:
    """The agent's next run, which it may get in the reply to a run's report.

    token: returns the agent's own token if it takes another run now, else None. take: starts the run.
    """

    token: Callable[[], str | None] = _no_token
    take: Callable[[ClaimedRun], None] = _leave


@dataclass(frozen=True)
class AttemptSettings:
    """Settings of a run. Times in seconds.

    verdict_hold_seconds: how long a reviewer's verdict waits for the program's output to show it, before the agent is
    answered without that.
    checkpoint_seconds: how often the unfinished work is pushed. last_checkpoint_seconds: how long the last one may take
    when the run ends without a result; shutdown_seconds: when this process ends. bounds: of each command of the run.
    blocked: see Walls. next_run: what the agent does when this run has ended.
    """

    ask_hold_seconds: float = 45.0
    verdict_hold_seconds: float = 10.0
    checkpoint_seconds: float = 180.0
    last_checkpoint_seconds: float = 45.0
    shutdown_seconds: float = 15.0
    program_timeouts: ProgramTimeouts = field(default_factory=ProgramTimeouts)
    bounds: Bounds = field(default_factory=Bounds)
    blocked: tuple[str, ...] = ()
    disk: DiskBounds = field(default_factory=DiskBounds)
    next_run: NextRun = field(default_factory=NextRun)
