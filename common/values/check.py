"""A check: a command that is run once on a commit, and how it did."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

from common.values.app import Space
from common.values.constraints import Amount, Command, Commit, Identity, Quantity
from common.values.repository import UNKNOWN_SOURCE, Source
from common.values.variable_set import Variables

_SIGNALS_END = 128 + 65


def second_run_of(check_id: str) -> str:
    """The id of the check that repeats this one, after its command was killed."""
    return f"{check_id}-2nd"


@dataclass(frozen=True)
class Check:
    """A command to be run on a clean checkout of one commit. check_id: the same id is the same check.

    command: a shell command. timeout_seconds: after it the whole process tree is killed; it counts from the command's
    start, not from the check's. memory_limit and docker_image as in Spec.
    """

    space: Space
    check_id: Identity
    commit: Commit
    command: Command
    source: Source = UNKNOWN_SOURCE
    variables: Variables = field(default_factory=Variables)
    timeout_seconds: Amount = 900
    memory_limit: Quantity | None = None
    docker_image: str | None = None

    def second_run(self) -> Self:
        """The same check to be run once more, known by an id of its own."""
        return replace(self, check_id=second_run_of(self.check_id))


class CheckPhase(StrEnum):
    WAITING = "waiting"
    """Its command has not begun, for a `reason` that may last: the quota is used up, no node has room."""
    RUNNING = "running"
    """Its command runs, or is about to."""
    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    """It could not be run: no checkout, no process, a node that went. It says nothing about the commit; delete it and
    ask again. No other phase than PASSED and FAILED says anything, and neither is there before the command began."""


class CheckEnd(StrEnum):
    """Why a check failed: the code of a CheckState that is FAILED."""

    EXITED = "exited"
    KILLED = "killed"
    """By a signal that neither the runtime nor its limits sent."""
    TIMEOUT = "timeout"
    MEMORY = "memory"
    TOO_LARGE = "too_large"
    """The commit can't be checked out anywhere."""


@dataclass(frozen=True)
class CheckState:
    """exit_code: None while running, and where it was killed. log: the last 64 KiB of its output.

    reason: a sentence when FAILED, BROKEN or WAITING (`it exited with 1`, `no node accepts its pod`); None otherwise.
    code: when FAILED: one of CheckEnd; when WAITING: `quota`, `no_room` (nodes are full) or `no_node` (none is fit).
    """

    phase: CheckPhase
    exit_code: int | None
    log: str
    reason: str | None = None
    code: str | None = None

    @property
    def died_by_signal(self) -> bool:
        """Whether its command was killed, itself or what its shell ran last (which exits with 128 + the signal then).

        The machine may have done that: it says nothing about the commit.
        """
        if self.phase is not CheckPhase.FAILED:
            return False
        if self.exit_code is None:
            return self.code == CheckEnd.KILLED
        return self.code != CheckEnd.TIMEOUT and 128 < self.exit_code < _SIGNALS_END
