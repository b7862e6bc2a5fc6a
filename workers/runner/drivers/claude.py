"""Claude Code: headless, with JSON lines in and out.

Nothing of the repository's own settings is obeyed (hooks, environment, MCP servers): only the user's settings, which
lie in the run's HOME, and those on the command line. Calls that are not allowed are refused without asking anybody.
Claude's own question tool exists only while something may answer it (`--permission-prompt-tool`); a hook of ours then
hands the question to the platform and returns the answer.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from workers.runner.drivers import question_hook
from workers.runner.drivers.json_lines import Json, content_text, mapping, mappings, parsed, text
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
from workers.runner.drivers.versions import check_program
from workers.runner.platform_client.driver_findings import DriverFinding

TOOL_SECONDS = 3600
TOOLS = (
    "Bash",
    "Read",
    "Edit",
    "Write",
    "Glob",
    "Grep",
    "NotebookEdit",
    "TodoWrite",
    "WebFetch",
    "WebSearch",
    "AskUserQuestion",
)
"""Claude's own tools. With a list MCP tools are in the first request too, and a third of the text is saved."""
_ENVIRON = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    # It is shared by all clones of one repository.
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "ENABLE_TOOL_SEARCH": "false",
    "MCP_CONNECTION_NONBLOCKING": "0",
    "MCP_TIMEOUT": "30000",
    "MCP_TOOL_TIMEOUT": str(TOOL_SECONDS * 1000),
    "CLAUDE_CODE_MCP_TOOL_IDLE_TIMEOUT": str(TOOL_SECONDS * 1000),
    "CLAUDE_CODE_MAX_RETRIES": "5",
}


class ClaudeDriver:
    name = "claude"
    api: str | None = "anthropic"

    def check(self) -> DriverFinding:
        return check_program(self.name)

    def command(self, work: Work) -> Command:
        config = work.home / ".claude"
        tools = [tool for tool in TOOLS if tool != "AskUserQuestion" or work.tools]
        argv = [work.executable, "-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
        argv += ["--setting-sources", "user", "--strict-mcp-config", "--permission-mode", "dontAsk"]
        argv += [
            "--tools",
            ",".join(tools),
            "--allowedTools",
            ",".join([*tools, *(["mcp__aiworker"] * bool(work.tools))]),
        ]
        files: dict[str, str] = {}
        if work.tools:
            server = {"type": "stdio", "command": work.tools.command, "args": list(work.tools.arguments)}
            files["aiworker-mcp.json"] = json.dumps({"mcpServers": {"aiworker": server}})
            files["aiworker-settings.json"] = json.dumps(_settings(work.tools.arguments[-1]))
            argv += ["--mcp-config", str(work.home / "aiworker-mcp.json")]
            argv += ["--settings", str(work.home / "aiworker-settings.json"), "--permission-prompt-tool", "stdio"]
        environ = {**_ENVIRON, "CLAUDE_CONFIG_DIR": str(config)}
        address = work.models.addresses.get("anthropic") if work.models else None
        if work.models and address:
            environ |= {
                "ANTHROPIC_BASE_URL": address,
                "ANTHROPIC_API_KEY": work.models.token,
            }
            if work.models.model:
                argv += ["--model", work.models.model]
                if not work.models.model.startswith("claude"):
                    # A provider with models of another make has no small Claude for the errands.
                    environ["ANTHROPIC_DEFAULT_HAIKU_MODEL"] = work.models.model
        if work.resume:
            argv += ["--resume", work.resume]
        return Command(
            tuple(argv),
            environ=environ,
            files=files,
            kept=(".claude/projects",),
            first_input=message_line(work.prompt),
            message=message_line,
            interrupt=interrupt_line,
        )

    def reader(self) -> ClaudeReader:
        return ClaudeReader("Claude Code")


def message_line(words: str) -> str:
    """A person's message; during a turn it arrives with the next result of a tool."""
    content = [{"type": "text", "text": words}]
    return json.dumps({"type": "user", "message": {"role": "user", "content": content}}) + "\n"


def interrupt_line() -> str:
    request = {"subtype": "interrupt"}
    return json.dumps({"type": "control_request", "request_id": uuid4().hex, "request": request}) + "\n"


def _settings(socket: str) -> Json:
    script = Path(question_hook.__file__).resolve()
    hook = {
        "type": "command",
        "command": shlex.join([sys.executable, "-I", str(script), socket]),
        "timeout": TOOL_SECONDS,
    }
    return {"hooks": {"PreToolUse": [{"matcher": "AskUserQuestion", "hooks": [hook]}]}}


class ClaudeReader(Reader):
    """Reads Claude's stream-json, which Qwen Code speaks as well. title: of the program, for reasons."""

    def __init__(self, title: str) -> None:
        self._title = title

    def read(self, line: str) -> Iterator[Event]:
        event = parsed(line)
        kind = event.get("type")
        if kind == "system":
            yield from self._system(event)
        elif kind in ("assistant", "user"):
            for block in mappings(mapping(event.get("message")).get("content")):
                yield from _block(block, is_assistant=kind == "assistant")
        elif kind == "result":
            errors = event.get("errors")
            said = text(event.get("result")) or "; ".join(map(str, errors if isinstance(errors, list) else []))
            said = said or text(mapping(event.get("error")).get("message")) or text(event.get("subtype"))
            # The subtype is `success` even after a refusal; is_error tells.
            yield End(not event.get("is_error"), said)

    def classify(self, exit: Exit) -> Classified:  # noqa: A002
        return classify_exit(exit, program=self._title)

    def _system(self, event: Json) -> Iterator[Event]:
        subtype = event.get("subtype")
        if subtype == "init":
            yield SessionStarted(text(event.get("session_id")), text(event.get("model")) or None, _tools_fault(event))
        elif subtype == "api_retry":
            yield Note(
                f"The call of the model is tried again: {event.get('error') or event.get('error_status') or 'error'}"
            )
        elif subtype == "permission_denied":
            yield Note(f"A call was not allowed: {text(event.get('tool_name')) or text(event.get('message'))}")


def _tools_fault(event: Json) -> str | None:
    for server in mappings(event.get("mcp_servers")):
        if server.get("name") == "aiworker" and server.get("status") != "connected":
            return f"the platform's tools are {text(server.get('status')) or 'missing'}"
    return None


def _block(block: Json, *, is_assistant: bool) -> Iterator[Event]:
    kind = block.get("type")
    if kind == "text" and is_assistant and text(block.get("text")):
        yield Text(text(block.get("text")))
    elif kind == "thinking" and is_assistant and text(block.get("thinking")):
        yield Thinking(text(block.get("thinking")))
    elif kind == "tool_use":
        name, given = text(block.get("name")), mapping(block.get("input"))
        yield ToolCall(text(block.get("id")), name, given)
        if name.lower() in ("todowrite", "todo_write"):
            steps = (
                (text(one.get("content")), one.get("status") == "completed") for one in mappings(given.get("todos"))
            )
            yield Plan(tuple(step for step in steps if step[0]))
    elif kind == "tool_result":
        yield ToolResult(text(block.get("tool_use_id")), not block.get("is_error"), content_text(block.get("content")))
