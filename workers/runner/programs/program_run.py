"""A coding CLI's whole work in one run: its processes one after the other, all in the same session of the program.

A process is followed by another if people wrote to it, if it broke and can be resumed, or if its session turned out to
be unusable.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workers.runner.drivers.offer import ReadyProgram
from workers.runner.drivers.program import Classified, Command, Ending, ModelAccess, Work
from workers.runner.drivers.protocol import DriverOutcome, OutcomeKind
from workers.runner.drivers.refusals import is_permanent, is_too_long
from workers.runner.platform_client.client import PersonMessage
from workers.runner.processes.cancellation import Cancellation
from workers.runner.processes.run_confinement import CommandSandbox
from workers.runner.programs.program_files import program_files
from workers.runner.programs.program_process import PlatformTools, ProcessEnd, ProgramProcess, ProgramTimeouts
from workers.runner.programs.steering import Steering, as_prompt
from workers.runner.transcript.changed_files import ChangedFiles
from workers.runner.transcript.reports import RunLog, shortened
from workers.runner.transcript.transcript import Transcript
from workers.runner.workspace.workspace import Workspace

LONGEST_SUMMARY = 4000
_LEAST_SIGNAL = 129
_NO_SESSION = re.compile(
    r"no (conversation|session|thread|rollout|chat)s?\b.{0,60}\bfound"
    r"|(session|conversation|thread|rollout|checkpoint)\b.{0,80}\b(not found|does not exist|doesn't exist|unknown"
    r"|is invalid|could not be (found|loaded))"
    r"|(invalid|unknown) (session|conversation|thread)"
    r"|(failed|unable) to (load|resume|find) .{0,40}(session|conversation|thread)"
    r"|error resuming",
    re.IGNORECASE,
)
_PERMANENT = re.compile(
    r"\b40[0134]\b|api.?key|unauthori[sz]ed|authenticat|permission|forbidden|billing|credit|quota exceeded|invalid",
    re.IGNORECASE,
)
_TEMPORARY = re.compile(
    r"\b(408|409|425|429|5\d\d)\b|overload|rate.?limit|too many requests|time[d]?.?out|unavailable|connect|network"
    r"|socket|stream|stalled|temporar|try again|internal server",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ProgramTask:
    """What a program is to do in a run.

    prompt: with `resume` only what its session does not know yet. fresh_prompt: everything. resume: the session to
    continue; None: a new one. template: for the drivers whose command people choose. is_review: it reviews a commit.
    """

    prompt: str
    fresh_prompt: str
    resume: str | None
    models: ModelAccess | None = None
    template: tuple[str, ...] = ()
    is_review: bool = False


@dataclass
class ProgramSession:
    """The program's session at this moment. id: None until it said one. kept: patterns below home that it needs."""

    id: str | None = None
    kept: tuple[str, ...] = field(default=())


class ProgramRun:
    """One program's work. `execute` is called once; `session` may be read meanwhile."""

    def __init__(
        self,
        program: ReadyProgram,
        task: ProgramTask,
        *,
        workspace: Workspace,
        log: RunLog,
        steering: Steering,
        tools: PlatformTools | None,
        program_timeouts: ProgramTimeouts,
    ) -> None:
        self._driver = program.driver
        self._executable = program.finding.executable
        self._task = task
        self._workspace = workspace
        changed = ChangedFiles(workspace.path, workspace.committed_text)
        self._transcript = Transcript(log, program=program.driver.name, workspace=workspace.path, changed=changed)
        self._steering = steering
        self._tools = tools
        self._program_timeouts = program_timeouts
        # Code of the commit that a reviewer ran may have changed its home and its clone: a new process would obey that.
        self._may_retry = not task.is_review
        self._may_start_anew = task.resume is not None
        self.session = ProgramSession(task.resume)

    def execute(self, cancellation: Cancellation) -> DriverOutcome:
        """Work until the task is done, a question waits, or it can't go on. Raises Cancelled, and OSError."""
        prompt = self._task.prompt if self.session.id else self._task.fresh_prompt
        messages: Sequence[PersonMessage] = ()
        while True:
            end = self._turn(prompt, cancellation, messages)
            messages = [*end.undelivered, *self._steering.inbox.take()]
            following = self._following(prompt, end, messages)
            if following is None:
                # What came just now is for this run; what comes from now on, for the next one.
                self._steering.stop()
                if late := self._steering.inbox.take():
                    messages = late
                    following = self._following(prompt, end, late)
                    self._steering.go_on()
            if following is None:
                self._steering.acknowledge(cancellation)
                assert end.classified is not None, "an interrupted turn is followed by another"
                return self._outcome(end, end.classified)
            prompt = following

    def _turn(self, prompt: str, cancellation: Cancellation, messages: Sequence[PersonMessage]) -> ProcessEnd:
        command = self._command(prompt)
        self.session.kept = command.kept
        return ProgramProcess(
            name=self._driver.name,
            command=command,
            command_sandbox=self._command_sandbox(command),
            reader=self._driver.reader(),
            workspace=self._workspace,
            transcript=self._transcript,
            inbox=self._steering.inbox,
            tools=self._tools,
            program_timeouts=self._program_timeouts,
            on_session=self._began,
            known_messages=messages,
            is_review=self._task.is_review,
        ).run(cancellation)

    def _command(self, prompt: str) -> Command:
        work = Work(
            prompt=prompt,
            workspace=self._workspace.path,
            home=self._workspace.home,
            resume=self.session.id,
            models=self._task.models,
            tools=None if self._tools is None else self._tools.server,
            executable=self._executable,
            template=self._task.template,
        )
        return self._driver.command(work)

    def _command_sandbox(self, command: Command) -> CommandSandbox:
        """What the program sees beside the clone: itself, the words of a person's own command, and our tools."""
        tools = () if self._tools is None else self._tools.server.arguments
        needed = program_files(
            [self._executable, *command.needs, *tools], hidden=self._workspace.confinement.sandboxes.hidden
        )
        if command.hidden:
            self._workspace.leave_alone(command.hidden)
        return self._workspace.command_sandbox(readable=needed, hidden=command.hidden)

    def _began(self, session: str) -> None:
        self.session.id = session

    # What comes next

    def _following(self, prompt: str, end: ProcessEnd, messages: Sequence[PersonMessage]) -> str | None:
        """The prompt of the next process; None if there is none."""
        ended = end.classified
        if ended is not None and ended.ending is Ending.BROKEN:
            return self._after_break(prompt, end, ended, messages)
        if ended is not None and ended.ending is Ending.REFUSED:
            # A session may have grown too large for its model between two runs.
            can_shrink = self._can_start_anew(end) and is_too_long(ended.reason)
            return self._start_anew(end, ended, messages) if can_shrink else None
        if not messages:
            return None
        name = self._driver.name
        self._transcript.note(
            f"{name} goes on with a message."
            if len(messages) == 1
            else f"{name} goes on with {len(messages)} messages."
        )
        return as_prompt(messages) if self.session.id else f"{self._task.fresh_prompt}\n\n{as_prompt(messages)}"

    def _after_break(
        self, prompt: str, end: ProcessEnd, ended: Classified, messages: Sequence[PersonMessage]
    ) -> str | None:
        is_refused = _NO_SESSION.search(ended.reason) is not None
        if self._can_start_anew(end) and (is_refused or not self._may_retry):
            return self._start_anew(end, ended, messages)
        if not self._may_retry or self.session.id is None or self._is_gone:
            return None
        self._may_retry = False
        reason = _sentence(ended.reason)
        self._transcript.note(f"{reason} Its session is resumed.", level="warn")
        again = f"You were interrupted: {reason} Go on with the task." if end.was_active else prompt
        return "\n\n".join(filter(None, (again, as_prompt([*end.delivered, *messages]))))

    def _can_start_anew(self, end: ProcessEnd) -> bool:
        """Whether the session of an earlier run, which has done nothing in this one, may be given up."""
        return self._may_start_anew and not end.was_active

    def _start_anew(self, end: ProcessEnd, ended: Classified, messages: Sequence[PersonMessage]) -> str:
        self._transcript.note(f"The session can't be resumed, so a new one begins: {ended.reason}", level="warn")
        self._may_start_anew = False
        self.session.id = None
        return "\n\n".join(filter(None, (self._task.fresh_prompt, as_prompt([*end.delivered, *messages]))))

    @property
    def _is_gone(self) -> bool:
        return bool(self._executable) and not Path(self._executable).exists()

    # How it ends

    def _outcome(self, end: ProcessEnd, ended: Classified) -> DriverOutcome:
        summary = shortened(end.summary.strip(), LONGEST_SUMMARY)
        reason = ended.reason or f"{self._driver.name} ended with exit code {end.code}."
        match ended.ending:
            case Ending.DONE:
                nothing = f"{self._driver.name} ended without a word."
                return DriverOutcome(OutcomeKind.COMPLETED, summary or nothing)
            case Ending.QUESTION:
                return DriverOutcome(OutcomeKind.WAITING, summary)
            case Ending.REFUSED:
                if ended.until is not None:
                    reason = _sentence(reason)
                    reason = f"{reason} It may work again at {ended.until.isoformat(timespec='minutes')}."
                passes = ended.until is not None or is_temporary(reason)
                return DriverOutcome(OutcomeKind.CUT_SHORT if passes else OutcomeKind.FAILED, summary, reason)
            case Ending.BROKEN:
                if self._is_gone:
                    reason = f"{self._driver.name} was removed from this machine: {self._executable} is gone."
                # Without a session the program has done its own, as a command does that ends with an exit code.
                is_own = self.session.id is None and not end.was_stopped and 0 < (end.code or 0) < _LEAST_SIGNAL
                return DriverOutcome(
                    OutcomeKind.FAILED if is_own and not self._is_gone else OutcomeKind.CUT_SHORT, summary, reason
                )


def _sentence(reason: str) -> str:
    """A reason that another sentence follows: it may end with words of a program, which need have no full stop."""
    return reason if reason.endswith((".", "!", "?", "…")) else f"{reason}."


def is_temporary(reason: str) -> bool:
    """Whether a provider's refusal passes by itself, such as an overload, and not one such as a wrong key."""
    is_refused_for_good = _PERMANENT.search(reason) is not None or is_permanent(reason)
    return _TEMPORARY.search(reason) is not None and not is_refused_for_good
