"""One run from claim to report, with any driver: clone, let the driver work, commit, push, finish.

It reports the head commit of the run's branch, which the platform then checks. It may be interrupted at any point:
only the branch and the stored session remain, and both can be written again.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from common.errors import (
    MOST_RETRIES,
    NO_ROOM,
    CutShort,
    Invalid,
    Misconfigured,
    NotFound,
    ProviderRefused,
    ProviderUnavailable,
)
from common.machine.waiting import Deadline
from common.values.claimed_run import ClaimedRun, Clone
from workers.runner import sessions
from workers.runner.cancellation import Cancellation, Cancelled, Why
from workers.runner.client import Backoff, RunApi, RunOver, RunToken
from workers.runner.commands import kill_all_below
from workers.runner.drivers import driver_named
from workers.runner.drivers.protocol import (
    Driver,
    DriverOutcome,
    OutcomeKind,
    SavedSession,
    Session,
)
from workers.runner.reports import RunLog, RunPlatform
from workers.runner.workspace import Workspace

Result = TypeVar("Result")

logger = logging.getLogger("workers.runner")

FORGE_RETRY_SECONDS = 300.0
LEAST_FREE_BYTES = 16 * 2**20
"""If less is free on the disk, a failure is not counted against the driver."""
_LONGEST_TITLE = 120


@dataclass(frozen=True)
class _Report:
    outcome: str
    summary: str
    reason: str | None = None
    commit_sha: str | None = None
    is_cut_short: bool = False


class Attempt:
    """One claimed run. `execute` is called once, in its own thread; the other methods may be called from any thread."""

    def __init__(
        self, claimed: ClaimedRun, *, url: str, directory: Path, default_driver: str, ask_hold_seconds: float
    ) -> None:
        self.id = claimed.run.id
        self._claimed = claimed
        self._url = url
        self._default_driver = default_driver
        self._ask_hold_seconds = ask_hold_seconds
        self._token = RunToken(claimed.run.token)
        # Any reason cancels the work. Reporting is cancelled only if the platform takes no more reports.
        self._work = Cancellation()
        self._reporting = Cancellation()
        self._workspace = Workspace(directory, claimed.clone, self._work)

    def cancel(self, why: Why, message: str = "") -> None:
        """Kill the run's commands, then report as `why` requires. Only the first call has an effect."""
        self._work.cancel(why, message)
        if why in {Why.DROPPED, Why.SHUTDOWN}:
            self._reporting.cancel(why, message)

    def drop(self, message: str) -> None:
        self.cancel(Why.DROPPED, message)

    def renew_token(self, token: str) -> None:
        """Use this token from now on: the platform handed the run out again."""
        self._token.value = token

    def execute(self) -> None:
        """Do the run and report its end. On return its processes and files are gone from this machine."""
        logger.info("run started", extra={"run_id": self.id, "task_id": self._claimed.task.id})
        api = RunApi(self._url, self.id, self._token, self._reporting)
        timer = self._time_limit()
        try:
            with RunLog(api, on_over=self.drop, secrets=self._secrets()) as log:
                report = self._report(api, log)
                if report.reason:
                    log.add("log", report.reason, level="info" if report.outcome == "cancelled" else "error")
            api.finish(
                report.outcome, commit_sha=report.commit_sha, summary=report.summary, reason=report.reason,
                cut_short=report.is_cut_short,
            )  # fmt: skip
            logger.info("run ended", extra={"run_id": self.id, "outcome": report.outcome})
        except RunOver as error:
            self.drop(str(error))
            logger.warning("run dropped", extra={"run_id": self.id, "reason": str(error)})
        except Cancelled as error:
            logger.warning("run dropped", extra={"run_id": self.id, "reason": str(error)})
        except (ProviderRefused, NotFound) as error:
            logger.error("run's report refused", extra={"run_id": self.id, "reason": str(error)})
        finally:
            timer.cancel()
            # Stops all commands of the run before its directory is removed.
            self._work.cancel(Why.DROPPED, "The run is over.")
            self._workspace.remove()

    def _report(self, api: RunApi, log: RunLog) -> _Report:
        """Do the work and return its outcome. Raises Cancelled and RunOver only if no report is possible."""
        try:
            return self._attempt(api, log)
        except Cancelled:
            self._reporting.check()
            if self._work.why is Why.LIMIT:
                return _Report("failed", "", self._work.message)
            return _Report("cancelled", "", self._work.message or "The run was cancelled.")
        except RunOver:
            raise
        except ProviderUnavailable as error:
            return _cut_short(str(error))
        except (ProviderRefused, Invalid, Misconfigured, NotFound) as error:
            return _Report("failed", "", str(error))
        except Exception as error:
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                return _cut_short(f"there is no room on this agent's machine: {error.strerror}")
            # A bug of the driver or of the agent: it fails this run, not the agent, and the report says so.
            logger.exception("run failed by a bug", extra={"run_id": self.id})
            return _Report("failed", "", f"The agent's program failed: {type(error).__name__}: {error}")

    def _attempt(self, api: RunApi, log: RunLog) -> _Report:
        driver = driver_named(self._claimed.driver or self._default_driver)
        log.add("log", f"Cloning {self._claimed.clone.branch}")
        self._with_retries(self._workspace.clone)
        saved = self._restore_session(api, driver)
        outcome = driver.work(self._session(log, saved))
        self._work.check()
        if outcome.kind is OutcomeKind.FAILED:
            if shutil.disk_usage(self._workspace.directory).free < LEAST_FREE_BYTES:
                return _cut_short(f"this agent's disk is full: {outcome.reason or outcome.summary}")
            return _Report("failed", outcome.summary, outcome.reason or "The driver gave no reason.")
        self._with_retries(lambda: self._workspace.commit_all(self._message(outcome)))
        log.add("log", f"Pushing {self._claimed.clone.branch}")
        head = self._with_retries(self._workspace.push)
        self._keep_session(api, log, driver, outcome, head)
        return _Report(str(outcome.kind), outcome.summary, commit_sha=head)

    def _session(self, log: RunLog, saved: SavedSession | None) -> Session:
        claimed, workspace = self._claimed, self._workspace
        platform = RunPlatform(
            RunApi(self._url, self.id, self._token, self._work),
            log,
            self._work,
            on_over=self.drop,
            limits=claimed.limits,
            hold_seconds=self._ask_hold_seconds,
        )
        trailers = workspace.head_message().splitlines()
        return Session(
            run_id=claimed.run.id,
            round=claimed.run.round,
            task=claimed.task,
            prompt=claimed.prompt,
            feedback=claimed.feedback,
            workspace=workspace.path,
            session_dir=workspace.session_dir,
            saved=saved,
            head_sha=workspace.head(),
            is_repeated=all(trailer in trailers for trailer in self._trailers()),
            environ=workspace.environ,
            cancellation=self._work,
            platform=platform,
        )

    def _restore_session(self, api: RunApi, driver: Driver) -> SavedSession | None:
        archive = api.get_session() if self._claimed.has_session else None
        return sessions.unpack(archive, self._workspace.session_dir, driver=driver.name) if archive else None

    def _keep_session(self, api: RunApi, log: RunLog, driver: Driver, outcome: DriverOutcome, head: str) -> None:
        """Store the session on the platform. A failure to do so fails only a waiting run, which needs its session."""
        directory = self._workspace.session_dir
        is_waiting = outcome.kind is OutcomeKind.WAITING
        if not is_waiting and not any(directory.iterdir()):
            return
        try:
            archive = sessions.pack(directory, driver=driver.name, round_number=self._claimed.run.round, head_sha=head)
            api.put_session(archive)
        except (Invalid, ProviderRefused) as error:
            if is_waiting:
                raise
            log.add("log", f"The session is not stored: {error}", level="warn")

    def _message(self, outcome: DriverOutcome) -> str:
        title = " ".join(self._claimed.task.title.split())[:_LONGEST_TITLE] or "Untitled task"
        if outcome.kind is OutcomeKind.WAITING:
            title = f"Work so far: {title}"
        return (
            "\n\n".join(part for part in (title, outcome.summary.strip(), "\n".join(self._trailers())) if part) + "\n"
        )

    def _trailers(self) -> list[str]:
        return [f"Task: {self._claimed.task.id}", f"Round: {self._claimed.run.round}"]

    def _with_retries(self, call: Callable[[], Result]) -> Result:
        """Repeat the call while the forge is unavailable, up to FORGE_RETRY_SECONDS, and after CutShort MOST_RETRIES
        times."""
        backoff = Backoff()
        deadline = Deadline(FORGE_RETRY_SECONDS)
        cut_short = 0
        while True:
            try:
                return call()
            except ProviderUnavailable as error:
                cut_short += isinstance(error, CutShort)
                if cut_short > MOST_RETRIES or deadline.is_over:
                    raise
                self._work.sleep(backoff.next_seconds(error))

    def _time_limit(self) -> threading.Timer:
        minutes = self._claimed.limits.max_minutes
        message = f"The run took longer than {minutes} minutes."
        timer = threading.Timer((minutes or 0) * 60, self.cancel, (Why.LIMIT, message))
        timer.daemon = True
        if minutes:
            timer.start()
        return timer

    def _secrets(self) -> list[str]:
        return [self._claimed.run.token, self._claimed.clone.password or ""]


def remove_leftovers(runs_dir: Path) -> None:
    """Remove everything that runs of an earlier process left: kill their commands and delete their workspaces."""
    if not runs_dir.exists():
        return
    kill_all_below(runs_dir)
    for directory in runs_dir.iterdir():
        with contextlib.suppress(OSError):
            Workspace(directory, Clone("", "", ""), Cancellation()).remove()


def _cut_short(reason: str) -> _Report:
    """Return the report of a run that ended for a reason unrelated to its task."""
    return _Report("cancelled", "", reason, is_cut_short=True)
