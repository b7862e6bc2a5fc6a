"""One run from claim to report, with any driver: clone, let the driver work, commit, push, finish.

It reports the head commit of the run's branch, which the platform then checks. It may be interrupted at any point:
only the branch and the stored session remain, and both can be written again.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
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
from common.telemetry.tracing import Span, in_trace, span, trace_variables
from common.values.runs.claimed_run import ClaimedRun
from workers.runner.attempt.attachments import download
from workers.runner.attempt.attempt_settings import AttemptSettings
from workers.runner.attempt.checkpoints import Checkpoints
from workers.runner.attempt.commit_messages import message_of, title_of
from workers.runner.attempt.disk_watch import LARGEST_KEPT_BYTES, require_directory, watched
from workers.runner.drivers import driver_named
from workers.runner.drivers.offer import DriverOffer, ReadyProgram
from workers.runner.drivers.protocol import DriverOutcome, OutcomeKind
from workers.runner.platform_client.backoff import Backoff
from workers.runner.platform_client.client import RunApi, RunOver, RunToken
from workers.runner.processes.cancellation import Cancellation, Cancelled, Why
from workers.runner.processes.leftovers import remove_runs
from workers.runner.processes.run_confinement import Confinement, RefusalLog
from workers.runner.programs import sessions
from workers.runner.programs.driver_work import DriverWork, ProgramWork, ScriptedWork, ServedTools
from workers.runner.programs.steering import Steering
from workers.runner.tools.platform_calls import ToolApi
from workers.runner.tools.review_verdict import Verdicts
from workers.runner.tools.tool_socket import ToolSocket
from workers.runner.tools.tools import PlatformToolHandler
from workers.runner.transcript.reports import RunLog, RunPlatform
from workers.runner.workspace.preparation import needs_of, prepare, remove_databases
from workers.runner.workspace.staging import LeftOutLog
from workers.runner.workspace.workspace import UNFINISHED, Workspace
from workers.sandbox.sandboxes import Sandboxes

Result = TypeVar("Result")

logger = logging.getLogger("workers.runner")

FORGE_RETRY_SECONDS = 300.0
LEAST_FREE_BYTES = 16 * 2**20
"""If less is free on the disk, a failure is not counted against the driver."""
_GZIP_HEADER = 10


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
        self,
        claimed: ClaimedRun,
        *,
        url: str,
        directory: Path,
        offer: DriverOffer,
        sandboxes: Sandboxes,
        settings: AttemptSettings,
    ) -> None:
        self.id = claimed.run.id
        self._claimed = claimed
        self._url = url
        self._offer = offer
        self._settings = settings
        self._token = RunToken(claimed.run.token)
        # Any reason cancels the work. Reporting is cancelled only if the platform takes no more reports.
        self._work = Cancellation()
        self._reporting = Cancellation()
        confinement = Confinement(
            sandboxes,
            claimed.network,
            platform=url,
            addresses=(claimed.clone.url, *(claimed.models.addresses.values() if claimed.models else ())),
            bounds=settings.bounds,
            blocked=settings.blocked,
        )
        self._workspace = Workspace(directory, claimed.clone, self._work, confinement)
        self._stored = b""
        self._checkpoints: Checkpoints | None = None
        self._fills_disk = False

    def cancel(self, why: Why, message: str = "") -> None:
        """Kill the run's commands, then report as `why` requires. Only the first call has an effect."""
        self._work.cancel(why, message)
        if why in {Why.DROPPED, Why.SHUTDOWN}:
            self._reporting.cancel(why, message)

    def keep_work(self) -> None:
        """Push the unfinished work now, beside the driver. Returns at once."""
        if self._checkpoints is not None:
            self._checkpoints.take_soon()

    def drop(self, message: str) -> None:
        self.cancel(Why.DROPPED, message)

    def renew_token(self, token: str) -> None:
        """Use this token from now on: the platform handed the run out again."""
        self._token.value = token

    def execute(self) -> None:
        """Do the run and report its end. On return its processes and files are gone from this machine."""
        about = {"aiworker.run": self.id, "aiworker.task": self._claimed.task.id}
        with in_trace(self._claimed.run.trace_parent), span("agent run", "internal", about) as traced:
            self._execute(traced)

    def _execute(self, traced: Span) -> None:
        is_confined = self._workspace.confinement.sandboxes.is_confining
        facts = {"run_id": self.id, "task_id": self._claimed.task.id, "is_confined": is_confined}
        logger.log(logging.INFO if is_confined else logging.WARNING, "run started", extra=facts)
        api = RunApi(self._url, self.id, self._token, self._reporting)
        timer = self._time_limit()
        try:
            with RunLog(api, on_over=self.drop, secrets=self._secrets()) as log:
                report = self._report(api, log)
                if report.reason:
                    log.add("log", report.reason, level="info" if report.outcome == "cancelled" else "error")
            following = api.finish(
                report.outcome, commit_sha=report.commit_sha, summary=report.summary, reason=report.reason,
                cut_short=report.is_cut_short, agent_token=self._settings.next_run.token(),
            )  # fmt: skip
            traced.note("aiworker.outcome", report.outcome)
            logger.info("run ended", extra={"run_id": self.id, "outcome": report.outcome})
            if following is not None:
                # It begins beside the removal of this run's files.
                self._settings.next_run.take(following)
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
        except RunOver as error:
            self.drop(str(error))
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
        program = self._offer.ready(self._claimed.driver or self._offer.first)
        self._tell_confinement(log)
        log.add("log", f"Cloning {self._claimed.clone.branch}")
        self._with_retries(self._workspace.clone)
        working = RunApi(self._url, self.id, self._token, self._work)
        download(
            working, self._claimed.attachments, self._workspace.attachments_dir, add_text=lambda it: log.add("log", it)
        )
        with require_directory(self._workspace.directory), self._prepared(log), self._driver_work(program, log) as work:
            work.restore(working.get_session() if self._claimed.has_session else None)
            return self._review(work) if self._claimed.run.is_review else self._do(work, api, log)

    def _tell_confinement(self, log: RunLog) -> None:
        """Say how the run is confined; from now on, also each host that its programs may not reach, and the paths that
        are in no commit.
        """
        confinement = self._workspace.confinement
        log.add("log", confinement.words, level="info" if confinement.sandboxes.is_confining else "warn")
        refusals = RefusalLog(lambda text: log.add("log", text, level="warn"))
        left_out = LeftOutLog(lambda text: log.add("log", text, level="warn"))
        self._workspace = replace(
            self._workspace, confinement=replace(confinement, on_refusal=refusals), on_left_out=left_out.tell
        )

    @contextlib.contextmanager
    def _prepared(self, log: RunLog) -> Iterator[None]:
        """Make the clone ready, with databases for as long as the block lasts. A failure is added to the prompt."""
        claimed = self._claimed
        if claimed.run.is_review and claimed.setup_command is not None:
            log.add("log", "The setup command is left out of a review, since it runs code of the commit.")
        with self._watched_disk():
            prepared = prepare(
                self._workspace, needs_of(claimed), project_id=claimed.project.id, hide=log.hide,
                log=lambda line: log.add("log", line),
            )  # fmt: skip
        confinement = replace(self._workspace.confinement, databases=prepared.forwarded_ports)
        self._workspace = replace(
            self._workspace, variables=dict(prepared.environ) | trace_variables(), confinement=confinement
        )
        if prepared.failure:
            both = (claimed.prompt, claimed.fresh_prompt or claimed.prompt)
            prompt, fresh = (f"{text}\n\n{prepared.failure}" for text in both)
            self._claimed = replace(claimed, prompt=prompt, fresh_prompt=fresh)
        try:
            yield
        finally:
            prepared.close()

    def _review(self, work: DriverWork) -> _Report:
        """Let the driver read and judge. What it changed is thrown away, and its session with it."""
        with self._watched_disk():
            outcome = work.execute(self._work)
        self._work.check()
        if outcome.kind is not OutcomeKind.COMPLETED:
            return self._without_result(outcome)
        return _Report("completed", outcome.summary, commit_sha=self._claimed.clone.commit)

    def _do(self, work: DriverWork, api: RunApi, log: RunLog) -> _Report:
        checkpoints = self._checkpoints = Checkpoints(
            self._workspace,
            message=self._unfinished_message(),
            store=lambda head, cancellation: self._store_session(work, head, cancellation),
            add_text=lambda text: log.add("log", text),
        )
        try:
            with checkpoints.every(self._settings.checkpoint_seconds), self._watched_disk():
                outcome = work.execute(self._work)
            self._work.check()
            if outcome.kind not in {OutcomeKind.COMPLETED, OutcomeKind.WAITING}:
                checkpoints.take_last(self._settings.last_checkpoint_seconds)
                return self._without_result(outcome)
            commit = self._with_retries(lambda: self._workspace.commit_all(self._message(outcome)))
            log.add("log", f"Pushing {self._claimed.clone.branch}")
            head = self._with_retries(lambda: self._workspace.push(commit))
        except Exception:
            # The branch of a run that is over for the platform may be another run's by now.
            if self._work.why is not Why.DROPPED:
                is_ending = self._work.why is Why.SHUTDOWN
                settings = self._settings
                checkpoints.take_last(
                    settings.shutdown_seconds if is_ending else settings.last_checkpoint_seconds,
                    largest_file_bytes=LARGEST_KEPT_BYTES if self._fills_disk else None,
                )
            raise
        self._keep_session(work, api, log, outcome, head)
        return _Report(str(outcome.kind), outcome.summary, commit_sha=head)

    def _watched_disk(self) -> contextlib.AbstractContextManager[None]:
        return watched(self._workspace.directory, self._settings.disk, self._stop_filling)

    def _stop_filling(self, reason: str) -> None:
        self._fills_disk = True
        self.cancel(Why.LIMIT, reason)

    def _without_result(self, outcome: DriverOutcome) -> _Report:
        reason = outcome.reason or "The driver gave no reason."
        if shutil.disk_usage(self._workspace.directory).free < LEAST_FREE_BYTES:
            return _cut_short(f"this agent's disk is full: {reason}")
        if outcome.kind is OutcomeKind.CUT_SHORT:
            return _cut_short(reason)
        return _Report("failed", outcome.summary, reason)

    @contextlib.contextmanager
    def _driver_work(self, program: ReadyProgram | None, log: RunLog) -> Iterator[DriverWork]:
        """The driver's work, with what it needs while it lasts: the platform's tools, and people's messages."""
        claimed, workspace, hold_seconds = self._claimed, self._workspace, self._settings.ask_hold_seconds
        if program is None:
            driver = driver_named(claimed.driver or self._offer.first)
            api = RunApi(self._url, self.id, self._token, self._work)
            platform = RunPlatform(
                api, log, self._work, on_over=self.drop, limits=claimed.limits, hold_seconds=hold_seconds
            )
            yield ScriptedWork(driver, claimed, workspace=workspace, platform=platform, trailers=self._trailers())
            return
        tool_api = ToolApi(self._url, self.id, self._token, self._work)
        is_review = claimed.run.is_review
        verdicts = Verdicts(tool_api, hold_seconds=self._settings.verdict_hold_seconds) if is_review else None
        tool_handler = PlatformToolHandler(tool_api, hold_seconds=hold_seconds, on_over=self.drop, verdicts=verdicts)
        with (
            ToolSocket(workspace.directory, tool_handler, is_review=is_review) as socket,
            Steering(self._url, self.id, self._token, on_over=self.drop) as steering,
        ):
            yield ProgramWork(
                program,
                claimed,
                workspace=workspace,
                log=log,
                steering=steering,
                tools=ServedTools(socket.server, tool_handler),
                program_timeouts=self._settings.program_timeouts,
            )
            for note in verdicts.settle() if verdicts else ():
                log.add("log", note, level="warn")

    # Sessions

    def _store_session(self, work: DriverWork, head: str, cancellation: Cancellation) -> None:
        archive = work.pack(head)
        # The first bytes are the time of packing.
        if archive is not None and archive[_GZIP_HEADER:] != self._stored:
            RunApi(self._url, self.id, self._token, cancellation).put_session(archive)
            self._stored = archive[_GZIP_HEADER:]

    def _keep_session(self, work: DriverWork, api: RunApi, log: RunLog, outcome: DriverOutcome, head: str) -> None:
        """Store the session on the platform. If that is not possible, an outdated one is taken away."""
        try:
            archive = work.pack(head)
            if archive is not None:
                api.put_session(archive)
        except (Invalid, ProviderRefused, OSError) as error:
            log.add("log", f"The session is not kept, so the next run begins a new one: {error}", level="warn")
            with contextlib.suppress(Invalid, ProviderRefused):
                api.put_session(sessions.no_session())

    # Commits

    def _message(self, outcome: DriverOutcome) -> str:
        if outcome.kind is OutcomeKind.WAITING:
            return self._unfinished_message(outcome.summary)
        return message_of(self._title, outcome.summary, "\n".join(self._trailers()))

    def _unfinished_message(self, summary: str = "") -> str:
        return message_of(f"Unfinished: {self._title}", summary, "\n".join([*self._trailers(), UNFINISHED]))

    @property
    def _title(self) -> str:
        return title_of(self._claimed.task)

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
        limit = self._claimed.limits.max_minutes or 0
        minutes = round(limit, 2)
        reason = f"The run took longer than {minutes} minutes."
        timer = threading.Timer(limit * 60, self.cancel, (Why.LIMIT, reason))
        timer.daemon = True
        if limit:
            timer.start()
        return timer

    def _secrets(self) -> list[str]:
        models = self._claimed.models
        return [self._claimed.run.token, self._claimed.clone.password or "", models.token if models else ""]


def remove_leftovers(runs_dir: Path) -> None:
    """Remove everything that runs of an earlier process left: kill their commands and delete their workspaces."""
    remove_databases(runs_dir)
    remove_runs(runs_dir)


def _cut_short(reason: str) -> _Report:
    """Return the report of a run that ended for a reason unrelated to its task."""
    return _Report("cancelled", "", reason, is_cut_short=True)
