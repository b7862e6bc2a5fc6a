"""CLIs that speak the Agent Client Protocol, through our client for it, `workers/runner/acp/client.py`.

The client prints one event a line, so that this driver is as pure as the others. The command is the user's
(AIWORKER_AGENT_ACP_COMMAND); drivers for known CLIs build on `acp_command` and `AcpReader`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import workers
from workers.runner.drivers.json_lines import mapping, number, parsed, text
from workers.runner.drivers.program import (
    Classified,
    Command,
    End,
    Event,
    Exit,
    Note,
    Plan,
    Reader,
    SessionStarted,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Work,
)
from workers.runner.drivers.refusals import classify_exit
from workers.runner.drivers.templates import check_template, model_variables, template_of
from workers.runner.platform_client.driver_findings import DriverFinding

SETTING = "AIWORKER_AGENT_ACP_COMMAND"
_CHECKOUT = Path(workers.__file__).resolve().parents[1]
# The path is set from within: the workspace must not bring modules of its own, nor see ours.
_START = (
    f"import sys; sys.path.insert(0, {str(_CHECKOUT)!r}); from workers.runner.acp.client import main; sys.exit(main())"
)


class AcpTools(TypedDict):
    """The platform's tools, an MCP server over stdio."""

    command: str
    arguments: list[str]


class AcpTask(TypedDict):
    """What our client is told first, as one line of JSON. See `acp_command`."""

    command: list[str]
    workspace: str
    resume: str | None
    tools: AcpTools | None
    prompt: str
    opencode_database: str | None


class AcpDriver:
    name = "acp"
    api: str | None = None

    def check(self) -> DriverFinding:
        return check_template(self.name, SETTING)

    def command(self, work: Work) -> Command:
        argv = work.template or template_of(SETTING)
        # What the CLI keeps of its sessions is not known, so all of its usual places are kept.
        return acp_command(work, argv, environ=model_variables(work.models), kept=(".*", ".config/*", ".local/share/*"))

    def reader(self) -> AcpReader:
        return AcpReader("The program")


def acp_command(
    work: Work,
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    files: Mapping[str, str] | None = None,
    kept: tuple[str, ...] = (),
    opencode_database: Path | None = None,
    hidden: tuple[str, ...] = (),
) -> Command:
    """The command that works with the CLI `argv` through our client.

    opencode_database: where a kept session is moved to this workspace before the start; without one to continue, it is
    removed.
    """
    tools = AcpTools(command=work.tools.command, arguments=list(work.tools.arguments)) if work.tools else None
    task = AcpTask(
        command=list(argv),
        workspace=str(work.workspace),
        resume=work.resume,
        tools=tools,
        prompt=work.prompt,
        opencode_database=str(opencode_database) if opencode_database else None,
    )
    return Command(
        (sys.executable, "-I", "-c", _START),
        needs=tuple(argv),
        hidden=hidden,
        environ=environ,
        files=files or {},
        kept=kept,
        first_input=json.dumps(task) + "\n",
        message=lambda words: json.dumps({"message": words}) + "\n",
        interrupt=lambda: json.dumps({"interrupt": True}) + "\n",
    )


class AcpReader(Reader):
    """title: of the program, for reasons."""

    def __init__(self, title: str) -> None:
        self._title = title

    def read(self, line: str) -> Iterator[Event]:
        event = parsed(line)
        said = text(event.get("text"))
        match event.get("event"):
            case "session":
                yield SessionStarted(text(event.get("id")))
            case "text":
                yield Text(said)
            case "thinking":
                yield Thinking(said)
            case "note":
                yield Note(said)
            case "call":
                yield ToolCall(text(event.get("id")), text(event.get("name")), mapping(event.get("input")))
            case "result":
                yield ToolResult(text(event.get("id")), bool(event.get("ok")), said, number(event.get("exitCode")))
            case "plan":
                yield Plan(_steps(event.get("steps")))
            case "end":
                yield End(bool(event.get("ok")), said)

    def classify(self, exit: Exit) -> Classified:  # noqa: A002
        return classify_exit(exit, program=self._title)


def _steps(value: object) -> tuple[tuple[str, bool], ...]:
    pairs = (step for step in value if isinstance(step, list) and len(step) == 2) if isinstance(value, list) else ()
    return tuple((text(step[0]), bool(step[1])) for step in pairs)
