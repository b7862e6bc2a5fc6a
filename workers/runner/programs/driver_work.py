"""A run's work by its driver, whichever kind it is: with the session of an earlier run, and with its own to be kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from common.errors import ProviderUnavailable
from common.values.runs.claimed_run import ClaimedRun
from common.values.runs.model_provider import RunModels
from workers.runner.drivers.offer import ReadyProgram
from workers.runner.drivers.program import ModelAccess, ToolCall, ToolServer
from workers.runner.drivers.protocol import Driver, DriverOutcome, Platform, SavedSession, Session
from workers.runner.processes.cancellation import Cancellation
from workers.runner.programs import sessions
from workers.runner.programs.instructions import fill
from workers.runner.programs.program_process import PlatformTools, ProgramTimeouts
from workers.runner.programs.program_run import ProgramRun, ProgramTask
from workers.runner.programs.steering import Steering
from workers.runner.tools.tools import PlatformToolHandler
from workers.runner.transcript.reports import RunLog
from workers.runner.workspace.workspace import Workspace


@dataclass(frozen=True)
class ServedTools:
    """The platform's tools for the agent, while their socket is open."""

    server: ToolServer
    tool_handler: PlatformToolHandler

    @property
    def is_question_open(self) -> bool:
        return self.tool_handler.is_question_open

    @property
    def review_summary(self) -> str | None:
        return self.tool_handler.review_summary

    def show(self, call: ToolCall) -> None:
        self.tool_handler.show(call)


class DriverWork(Protocol):
    """One driver's work in one run, in a workspace that is cloned."""

    name: str

    def restore(self, archive: bytes | None) -> None:
        """Take up the session in this archive, if the driver can use it. None: there is none. Called once, first."""

    def execute(self, cancellation: Cancellation) -> DriverOutcome:
        """Work. Raises Cancelled. Called once."""

    def pack(self, head_sha: str) -> bytes | None:
        """Return the present session as an archive; None if there is none. May be called while `execute` runs.

        Raises ProviderRefused if it is too large, and OSError if a file changes at the wrong moment.
        """


class ProgramWork:
    """The work of a coding CLI. Its session is those files of its home that it needs to resume."""

    def __init__(
        self,
        program: ReadyProgram,
        claimed: ClaimedRun,
        *,
        workspace: Workspace,
        log: RunLog,
        steering: Steering,
        tools: PlatformTools | None,
        program_timeouts: ProgramTimeouts,
    ) -> None:
        self.name = program.driver.name
        self._program = program
        self._claimed = claimed
        self._workspace = workspace
        self._log = log
        self._steering = steering
        self._tools = tools
        self._program_timeouts = program_timeouts
        self._resume: str | None = None
        self._run: ProgramRun | None = None

    def restore(self, archive: bytes | None) -> None:
        saved = sessions.unpack(archive, self._workspace.home, driver=self.name) if archive else None
        self._resume = saved.program_session if saved else None
        if self._claimed.has_session and self._resume is None:
            self._log.add("log", f"There is no session that {self.name} can use, so a new one begins.")

    def execute(self, cancellation: Cancellation) -> DriverOutcome:
        claimed = self._claimed
        models, api = claimed.models, self._program.driver.api
        if models is not None and api is not None and api not in models.addresses:
            raise ProviderUnavailable(f"the platform has no provider of models for {self.name} ({api})")
        task = ProgramTask(
            prompt=self._filled(claimed.prompt),
            fresh_prompt=self._filled(claimed.fresh_prompt or claimed.prompt),
            resume=self._resume,
            models=None if models is None else self._access(models),
            is_review=claimed.run.is_review,
        )
        self._run = ProgramRun(
            self._program,
            task,
            workspace=self._workspace,
            log=self._log,
            steering=self._steering,
            tools=self._tools,
            program_timeouts=self._program_timeouts,
        )
        return self._run.execute(cancellation)

    def _access(self, models: RunModels) -> ModelAccess:
        as_seen = self._workspace.confinement.as_seen
        addresses = {api: as_seen(address) for api, address in models.addresses.items()}
        return ModelAccess(addresses, models.token, self._claimed.model)

    def _filled(self, prompt: str) -> str:
        """The prompt, completed from the clone. A resumed session knows another path, that of its former clone."""
        return f"Working directory: {self._workspace.path}\n\n{_completed(prompt, self._workspace)}"

    def pack(self, head_sha: str) -> bytes | None:
        session = self._run and self._run.session
        if not session or session.id is None:
            return None
        return sessions.pack(
            self._workspace.home,
            driver=self.name,
            round_number=self._claimed.run.round,
            head_sha=head_sha,
            kept=session.kept,
            program_session=session.id,
        )


class ScriptedWork:
    """The work of a driver that needs no program. trailers: those of the commits of this task and round."""

    def __init__(
        self, driver: Driver, claimed: ClaimedRun, *, workspace: Workspace, platform: Platform, trailers: list[str]
    ) -> None:
        self.name = driver.name
        self._driver = driver
        self._claimed = claimed
        self._workspace = workspace
        self._platform = platform
        self._trailers = trailers
        self._saved: SavedSession | None = None

    def restore(self, archive: bytes | None) -> None:
        self._saved = sessions.unpack(archive, self._workspace.session_dir, driver=self.name) if archive else None

    def execute(self, cancellation: Cancellation) -> DriverOutcome:
        claimed, workspace = self._claimed, self._workspace
        head, message = workspace.head_and_message()
        said = message.splitlines()
        session = Session(
            run_id=claimed.run.id,
            round=claimed.run.round,
            task=claimed.task,
            is_review=claimed.run.is_review,
            prompt=_completed(claimed.prompt, workspace),
            feedback=claimed.feedback,
            workspace=workspace.path,
            session_dir=workspace.session_dir,
            saved=self._saved,
            head_sha=head,
            is_repeated=all(trailer in said for trailer in self._trailers),
            environ=workspace.environ,
            command_sandbox=workspace.command_sandbox(),
            cancellation=cancellation,
            platform=self._platform,
        )
        return self._driver.work(session)

    def pack(self, head_sha: str) -> bytes | None:
        directory = self._workspace.session_dir
        if not any(directory.iterdir()):
            return None
        return sessions.pack(directory, driver=self.name, round_number=self._claimed.run.round, head_sha=head_sha)


def _completed(prompt: str, workspace: Workspace) -> str:
    """The prompt, completed from the clone."""
    head = workspace.head() if "{suggested-change" in prompt else None
    return fill(
        prompt,
        workspace.path,
        attachments=workspace.attachments_dir,
        committed=lambda commit, path: None if commit == head else workspace.committed_text(path, commit=commit),
    )
