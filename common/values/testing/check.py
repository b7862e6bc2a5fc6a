"""A check: a command that is run once on a commit, and its result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

from common.values.constraints import Amount, Command, Commit, Identity, Quantity
from common.values.delivery.app import ProjectNamespace
from common.values.egress import Network
from common.values.needs import Needs
from common.values.repository import UNKNOWN_SOURCE, Source
from common.values.testing.coverage import Coverage
from common.values.testing.test_report import TestReport
from common.values.variable_set import Variables

JUDGED_BY = "report"
"""What tells whether a command passed; see `CheckState.judged_by_report`. Stored results have it in their keys, as
versions that went by the exit status alone stored others."""
OVERLAY_FAILED = "files of the commit do not fit those that it is tested with"
"""Why a check failed if its overlay could not be laid over the checkout: the beginning of a sentence."""
OVERLAY_FAILED_EXIT = 22
"""The exit code of a pod's first container for that."""

_SIGNALS_END = 128 + 65


def second_run_of(check_id: str) -> str:
    """The id of the check that repeats this one if its command was killed."""
    return f"{check_id}-2nd"


@dataclass(frozen=True)
class FileText:
    """A file and its whole text; bytes that are not UTF-8 as lone surrogates."""

    path: str
    text: str


@dataclass(frozen=True)
class Overlay:
    """Files that a check's checkout takes from another commit. paths: what it takes. gone: what it removes.

    texts: files of the checkout with other texts. Paths from the root, with `/`; bytes that are not UTF-8 as lone
    surrogates.
    """

    commit: Commit
    paths: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    texts: tuple[FileText, ...] = ()


@dataclass(frozen=True)
class Check:
    """A command to be run on a clean checkout of one commit. check_id: equal ids mean the same check. settings: a
    digest of the settings by which it runs; empty: unknown. It does not count if it began with others.

    command: a shell command. timeout_seconds: the whole process tree is killed this long after the command's start,
    which comes after the checkout and the setup command (see Needs). memory_limit, docker_image: see Spec.
    network: what the command may reach. test_report: where its tests write JUnit XML, a path or pattern in the
    checkout; None: where the usual runners write it. overlay: files of another commit; None: none. only_files: names
    of files of tests, such as `test_page.py`: pytest and, if test_report is None, unittest run the tests of these
    alone; other runners, all. Empty: all. left_out: names of tests, as reports have them, that these two do not run.
    measures_coverage: have the tests measure which lines they execute, where a tool is known for them. It costs time,
    so the runtime may let others go first.
    """

    space: ProjectNamespace
    check_id: Identity
    commit: Commit
    command: Command
    source: Source = UNKNOWN_SOURCE
    variables: Variables = field(default_factory=Variables)
    timeout_seconds: Amount = 900
    memory_limit: Quantity | None = None
    docker_image: str | None = None
    needs: Needs = field(default_factory=Needs)
    network: Network = field(default_factory=Network)
    test_report: str | None = None
    overlay: Overlay | None = None
    only_files: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    measures_coverage: bool = False
    settings: str = ""

    def second_run(self) -> Self:
        """The same check with an id of its own, to be run once more."""
        return replace(self, check_id=second_run_of(self.check_id))


class CheckPhase(StrEnum):
    WAITING = "waiting"
    """Its command has not begun, for a `reason` that may last: the quota is used up, or no node has room."""
    RUNNING = "running"
    """Its command runs or is about to start."""
    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    """It could not be run: the checkout failed, no process could be started, a service that it needs is not installed
    or does not start, or the node was lost. Delete the check and
    ensure it again. Only PASSED and FAILED, which follow a run of the command, say something about the commit."""


class CheckEnd(StrEnum):
    """Why a check failed: the code of a CheckState that is FAILED."""

    EXITED = "exited"
    KILLED = "killed"
    """Killed by a signal that neither the runtime nor its limits sent."""
    TIMEOUT = "timeout"
    MEMORY = "memory"
    DISK = "disk"
    """It wrote more into its workplace than it may, or than the disk has room for."""
    TOO_LARGE = "too_large"
    """The commit can't be checked out anywhere."""
    SETUP_FAILED = "setup_failed"
    """The setup command failed, so the check's command was not run. The log ends with the setup command's output.
    Or the overlay does not fit the commit."""


@dataclass(frozen=True)
class CheckState:
    """exit_code: None while running, and if the command was killed. log: the last 64 KiB of its output.

    reason: a sentence when FAILED, BROKEN or WAITING (`it exited with 1`, `no node accepts its pod`); None otherwise.
    code: when FAILED, one of CheckEnd; when WAITING, `quota`, `no_room` (nodes are full) or `no_node` (no node is
    suitable); when BROKEN, `service_missing`, `service_failed` or None. report: of the tests, once the command has
    ended by itself; None if the runtime reads no reports. coverage: None also if the tests wrote no such report.
    settings: of the check that began; empty if an older version began it.
    """

    phase: CheckPhase
    exit_code: int | None
    log: str
    reason: str | None = None
    code: str | None = None
    report: TestReport | None = None
    coverage: Coverage | None = None
    settings: str = ""

    @property
    def died_by_signal(self) -> bool:
        """Whether the command was killed, or its shell reports this of its last command (exit code 128 + signal).

        The machine may have sent the signal, so the result says nothing about the commit.
        """
        if self.phase is not CheckPhase.FAILED:
            return False
        if self.exit_code is None:
            return self.code == CheckEnd.KILLED
        return self.code != CheckEnd.TIMEOUT and 128 < self.exit_code < _SIGNALS_END

    @property
    def hides_failures(self) -> bool:
        """Whether it failed by its report alone: see `judged_by_report`."""
        return self.code == CheckEnd.EXITED and self.exit_code == 0

    def judged_by_report(self) -> Self:
        """This state; but FAILED if the command exited with 0 although its report names tests that failed."""
        failed = self.report.failed_at_last() if self.report is not None else ()
        if self.phase is not CheckPhase.PASSED or self.exit_code != 0 or not failed:
            return self
        reason = (
            "it exited with 0, but its report says that one test failed"
            if len(failed) == 1
            else f"it exited with 0, but its report says that {len(failed)} tests failed"
        )
        return replace(self, phase=CheckPhase.FAILED, reason=reason, code=CheckEnd.EXITED)
