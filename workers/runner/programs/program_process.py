"""One process of a coding CLI, from its start to its end: its input, its output, and what people say meanwhile."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from workers.runner.drivers.json_lines import is_event
from workers.runner.drivers.program import (
    Classified,
    Command,
    End,
    Ending,
    Event,
    Exit,
    Plan,
    Reader,
    SessionStarted,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    ToolServer,
)
from workers.runner.platform_client.client import PersonMessage
from workers.runner.processes.cancellation import Cancellation
from workers.runner.processes.commands import BROKEN, kill_all_below
from workers.runner.processes.processes import Line, Process, start
from workers.runner.processes.run_confinement import CommandSandbox
from workers.runner.programs.steering import Inbox, as_prompt
from workers.runner.transcript.transcript import Transcript
from workers.runner.workspace.files import write_inside
from workers.runner.workspace.workspace import Workspace

logger = logging.getLogger("workers.runner")

_READ_SECONDS = 0.5
_CANCEL_GRACE_SECONDS = 2.0
_WORK = (Text, Thinking, ToolCall, ToolResult, Plan)
_MOST_UNREAD_LINES = 50
"""Most lines of one process that are shown though they say nothing to the driver."""


class PlatformTools(Protocol):
    """The platform's tools for the agent, while they are served."""

    @property
    def server(self) -> ToolServer: ...

    @property
    def is_question_open(self) -> bool:
        """Whether a question that the agent has to wait for has no answer yet."""

    @property
    def review_summary(self) -> str | None:
        """What the agent said of its work when it asked for a review; None if it did not."""

    def show(self, call: ToolCall) -> None:
        """The program's output has shown this call. Returns at once."""


@dataclass(frozen=True)
class ProgramTimeouts:
    """How long a program may take, in seconds.

    silence: without any output. linger: to exit after the end of its turn. interrupt: to end an interrupted turn.
    """

    silence: float = 1200.0
    linger: float = 30.0
    interrupt: float = 20.0


@dataclass
class ProcessEnd:
    """How a process ended. classified: None if a person interrupted it.

    session: the program's session, if it said one. was_active: whether it did anything. code: None if it could not be
    started. was_stopped: it was stopped for its silence. undelivered: messages that it has not got. delivered: those
    that it got, but may have lost if it broke.
    """

    classified: Classified | None
    code: int | None = None
    session: str | None = None
    was_active: bool = False
    was_stopped: bool = False
    summary: str = ""
    undelivered: list[PersonMessage] = field(default_factory=list)
    delivered: list[PersonMessage] = field(default_factory=list)


class ProgramProcess:
    """One process. `run` is called once. told: the messages that its prompt contains."""

    def __init__(
        self,
        *,
        name: str,
        command: Command,
        command_sandbox: CommandSandbox,
        reader: Reader,
        workspace: Workspace,
        transcript: Transcript,
        inbox: Inbox,
        tools: PlatformTools | None,
        program_timeouts: ProgramTimeouts,
        on_session: Callable[[str], None],
        known_messages: Sequence[PersonMessage] = (),
        is_review: bool = False,
    ) -> None:
        self._name = name
        self._command = command
        self._command_sandbox = command_sandbox
        self._reader = reader
        self._workspace = workspace
        self._transcript = transcript
        self._inbox = inbox
        self._tools = tools
        self._program_timeouts = program_timeouts
        self._on_session = on_session
        self._known_messages = known_messages
        self._is_review = is_review
        self._result = ProcessEnd(None)
        self._end: End | None = None
        self._ended_at: float | None = None
        self._interrupted_at: float | None = None
        self._is_interrupted = False
        self._has_lingered = False
        self._unread = 0
        self._old_error_bytes = 0
        """Of its standard error: it worked on after them."""

    def run(self, cancellation: Cancellation) -> ProcessEnd:
        """Start the process and read it to its end. On return nothing of it is left.

        Raises Cancelled, after the process was stopped, and OSError if its files can't be written.
        """
        cancellation.check()
        command, result = self._command, self._result
        lay_out(self._workspace.home, command)
        self._transcript.next_process()
        environ = self._workspace.environ | dict(command.environ)
        takes_turns = command.message is not None or command.interrupt is not None
        try:
            process = start(
                command.argv,
                cwd=self._workspace.path,
                environ=environ,
                command_sandbox=self._command_sandbox,
                has_input=takes_turns or command.first_input is not None,
                # What the reviewed commit runs must neither speak to the reviewer nor for it.
                is_private=self._is_review,
            )
        except OSError as error:
            why = f"{self._name} can't be started: {error.strerror or error}"
            result.classified = Classified(Ending.BROKEN, why)
            return result
        with (
            process,
            self._inbox.calling(process.wake),
            cancellation.calling(lambda: process.stop(_CANCEL_GRACE_SECONDS)),
        ):
            process.write(command.first_input or "")
            self._inbox.tell(self._known_messages)
            if not takes_turns:
                process.close_input()
            while not process.is_over:
                error_bytes = process.error_bytes
                for line in process.read(_READ_SECONDS):
                    if self._take(line, process):
                        # Only what was read before: nothing tells which of two streams was written first.
                        self._old_error_bytes = error_bytes
                self._steer(process)
                self._watch(process)
            self._tell(self._reader.rest(), process)
        kill_all_below(self._workspace.home)
        if process.broken_bound:
            self._transcript.note(BROKEN[process.broken_bound], level="warn")
        cancellation.check()
        return self._ended(process)

    # What it says

    def _take(self, line: Line, process: Process) -> bool:
        """Return whether the line shows work."""
        if line.left_out_bytes:
            self._transcript.note(
                f"A line of {self._name} was too long: {line.left_out_bytes} bytes of it are left out.", level="warn"
            )
        try:
            events = list(self._reader.read(line.text))
        except Exception:
            logger.exception("driver failed to read a line", extra={"driver": self._name})
            events = []
        self._tell(events, process)
        if not events and line.text.strip() and not is_event(line.text):
            self._show_unread(line.text)
        return any(isinstance(event, _WORK) for event in events)

    def _tell(self, events: Iterable[Event], process: Process) -> None:
        for event in events:
            self._transcript.write(event)
            self._follow(event, process)

    def _show_unread(self, text: str) -> None:
        self._unread += 1
        if self._unread <= _MOST_UNREAD_LINES:
            self._transcript.note(text)
        elif self._unread == _MOST_UNREAD_LINES + 1:
            self._transcript.note(f"Further lines of {self._name} that are no events are left out.", level="warn")

    def _follow(self, event: Event, process: Process) -> None:
        match event:
            case SessionStarted(id, _, _) if id:
                self._result.session = id
                self._on_session(id)
            case End():
                self._end_turn(event, process)
            case _ if isinstance(event, _WORK):
                if isinstance(event, ToolCall) and self._tools is not None:
                    self._tools.show(event)
                self._result.was_active = True
                self._ended_at = None  # it goes on, with a message that it got just before the end

    def _end_turn(self, end: End, process: Process) -> None:
        was_interrupted, self._interrupted_at = self._interrupted_at is not None, None
        if self._result.undelivered and self._command.message is not None:
            self._deliver(process)
            return
        if was_interrupted:
            self._is_interrupted = True
        self._end, self._ended_at = end, time.monotonic()
        process.close_input()

    # What people say to it

    def _steer(self, process: Process) -> None:
        arrived = self._inbox.take()
        waiting = self._result.undelivered
        waiting += arrived
        if any(message.interrupts for message in arrived):
            self._interrupt(process)
        elif waiting and self._command.message is not None and self._is_open and self._interrupted_at is None:
            self._deliver(process)

    @property
    def _is_open(self) -> bool:
        """Whether its turn goes on, so that it reads its input."""
        return self._ended_at is None and self._end is None

    def _deliver(self, process: Process) -> None:
        encode, waiting = self._command.message, self._result.undelivered
        if encode is not None:
            process.write(encode(as_prompt(waiting)))
            self._transcript.note(
                f"{self._name} got a message." if len(waiting) == 1 else f"{self._name} got {len(waiting)} messages."
            )
            self._inbox.tell(waiting)
            self._result.delivered += waiting
            waiting.clear()

    def _interrupt(self, process: Process) -> None:
        self._transcript.note(f"{self._name} is interrupted.")
        if self._command.interrupt is not None and self._is_open:
            process.write(self._command.interrupt())
            self._interrupted_at = time.monotonic()
        elif self._is_open:
            self._is_interrupted = True
            process.stop()

    # How long it may take

    def _watch(self, process: Process) -> None:
        if process.is_over or process.is_stopping:
            return
        now, quiet_since = time.monotonic(), process.last_output_at
        if self._interrupted_at is not None and now - self._interrupted_at > self._program_timeouts.interrupt:
            self._is_interrupted = True
            process.stop()
        elif self._ended_at is not None and now - max(self._ended_at, quiet_since) > self._program_timeouts.linger:
            self._has_lingered = True
            process.stop()
        elif now - quiet_since > self._program_timeouts.silence:
            self._result.was_stopped = True
            process.stop()

    def _ended(self, process: Process) -> ProcessEnd:
        result = self._result
        result.code = process.code
        said = (self._tools and self._tools.review_summary) or (self._end and self._end.text)
        result.summary = said or self._transcript.last_text
        if self._is_interrupted and result.undelivered:
            return result
        is_question_open = self._tools is not None and self._tools.is_question_open
        code = process.code
        if self._has_lingered and self._end is not None:
            code = 0 if self._end.ok else 1  # it was stopped after its work
        exit_ = Exit(
            code=code, stderr=process.error_text(), end=self._end, is_question_open=is_question_open,
            late_stderr=process.error_text(after=self._old_error_bytes),
        )  # fmt: skip
        if result.was_stopped:
            seconds = self._program_timeouts.silence
            spoken = f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:g} seconds"
            result.classified = Classified(Ending.BROKEN, f"{self._name} said nothing for {spoken} and was stopped.")
        else:
            result.classified = self._reader.classify(exit_)
        if is_question_open and result.classified.ending is Ending.DONE:
            result.classified = Classified(Ending.QUESTION)
        return result


def lay_out(home: Path, command: Command) -> None:
    """Write the command's files below home, readable by this user alone. Replaces what is there; follows no link.

    Raises OSError if one can't be written.
    """
    for name, content in command.files.items():
        write_inside(home, name, content.encode())
