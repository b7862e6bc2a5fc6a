"""The seam of a driver for a coding CLI: small and pure. It says how to start the program and how to read its output.

One runner around all drivers starts the process, reads its output, stops it, and keeps its work: a driver starts
nothing, waits for nothing and has no credential of the platform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from workers.runner.platform_client.driver_findings import DriverFinding

# What a program says and does


@dataclass(frozen=True)
class SessionStarted:
    """The program's session has this id, with which it can be resumed. tools_fault: why it lacks our tools, or None."""

    id: str
    model: str | None = None
    tools_fault: str | None = None


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Thinking:
    text: str


@dataclass(frozen=True)
class ToolCall:
    """id: joins it to its result. input: as the program shows it."""

    id: str
    name: str
    input: Mapping[str, object]


@dataclass(frozen=True)
class ToolResult:
    """exit_code: of a command; None if it was none, or if the program does not say."""

    id: str
    ok: bool
    text: str
    exit_code: int | None = None


@dataclass(frozen=True)
class Plan:
    """The program's list of steps, the whole list each time. Each step: its text and whether it is done."""

    steps: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Note:
    """Something that people should see, such as a call of the model that is tried again."""

    text: str


@dataclass(frozen=True)
class End:
    """The program's own report of a turn. It may lie (an exit code of 0 after an error): see `classify`."""

    ok: bool
    text: str


Event = SessionStarted | Text | Thinking | ToolCall | ToolResult | Plan | Note | End


# How it ended


@dataclass(frozen=True)
class Exit:
    """code: 128 + n after signal n. stderr: its end. end: the last End that was read, or None. is_question_open: a
    question that it asked with our tool has no answer yet. late_stderr: what of stderr was read after its last work, so
    that it may tell why it ended; None: all of it."""

    code: int
    stderr: str
    end: End | None
    is_question_open: bool
    late_stderr: str | None = None


class Ending(StrEnum):
    DONE = "done"
    QUESTION = "question"
    """A question is open: the run ends as waiting, and the session is resumed with the answer."""
    REFUSED = "refused"
    """The provider refused (a limit, a wrong key, overload)."""
    BROKEN = "broken"
    """The program failed. The work so far is kept."""


@dataclass(frozen=True)
class Classified:
    """reason: a sentence for people; empty for DONE. until: when a refused call may be tried again; None: unknown."""

    ending: Ending
    reason: str = ""
    until: datetime | None = None


class Reader(Protocol):
    """Reads the output of one process. It may remember earlier lines."""

    def read(self, line: str) -> Iterable[Event]:
        """Return what this line of standard output says. Garbage says nothing; it never raises."""

    def rest(self) -> Iterable[Event]:
        """Return what earlier lines said and `read` held back. Called once the process has ended; never raises."""
        return ()

    def classify(self, exit: Exit) -> Classified: ...  # noqa: A002


# How it is started


@dataclass(frozen=True)
class ModelAccess:
    """How a run reaches models: through the platform's gateway, with a token that is good for nothing else.

    addresses: API (`anthropic`, `openai`, `gemini`) → base URL, without `/v1`; those that have a provider. model: the
    chosen one; None: the driver's default.
    """

    addresses: Mapping[str, str]
    token: str = field(repr=False)
    model: str | None = None


@dataclass(frozen=True)
class ToolServer:
    """The command of the platform's tools for the agent, an MCP server over stdio. It holds no secret."""

    command: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """What a program is to do.

    resume: the program's session to continue; None: a new one. home: the program's HOME, empty but for what was kept.
    executable: the program's path, as `check` found it. template: for the drivers `command` and `acp`: the command.
    """

    prompt: str
    workspace: Path
    home: Path
    resume: str | None
    models: ModelAccess | None
    tools: ToolServer | None
    executable: str
    template: tuple[str, ...] = ()


@dataclass(frozen=True)
class Command:
    """How to start a program.

    needs: words among which are paths of this machine that the program needs. hidden: files and folders of the working
    tree that the program would obey and no setting of its own stops: it sees empty ones, and can't change them.
    environ: in addition to PATH, HOME, LANG and the git identity. files: path below home → content, written before the
    start, readable by the owner. kept: files and folders below home (glob patterns) that a resumed session needs.
    first_input: written to its standard input; None: its standard input is empty. message: encodes a message of a
    person for its standard input, which then stays open until the turn ends; None: it takes no messages while it
    works. interrupt: encodes the order to stop the present turn; None: SIGINT does that.
    """

    argv: tuple[str, ...]
    needs: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    first_input: str | None = None
    message: Callable[[str], str] | None = None
    interrupt: Callable[[], str] | None = None


class ProgramDriver(Protocol):
    """A driver for one program. name: as people choose it. api: the model API that it speaks; None: it needs none."""

    name: str
    api: str | None

    def check(self) -> DriverFinding:
        """Look for the program: installed, which version, new enough. Takes at most 10 s and never raises."""

    def command(self, work: Work) -> Command: ...

    def reader(self) -> Reader:
        """A new one for each process."""
