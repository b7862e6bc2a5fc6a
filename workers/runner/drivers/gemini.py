"""Gemini CLI: headless, with JSON lines out and the prompt on standard input.

Its Agent Client Protocol says less (no input and no output of a tool), so it is not used. Settings, hooks and MCP
servers of the repository are not obeyed: in a folder that is not trusted they are not read. The platform's tools and
all approvals are in the settings of the run's HOME.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from workers.runner.drivers.json_lines import mapping, parsed, text
from workers.runner.drivers.program import (
    Classified,
    Command,
    End,
    Event,
    Exit,
    Note,
    Reader,
    SessionStarted,
    Text,
    ToolCall,
    ToolResult,
    Work,
)
from workers.runner.drivers.refusals import classify_exit
from workers.runner.drivers.versions import check_program
from workers.runner.platform_client.driver_findings import DriverFinding

TOOL_SECONDS = 3600
PROJECT = "aiworker"


class GeminiDriver:
    name = "gemini"
    api: str | None = "gemini"

    def check(self) -> DriverFinding:
        return check_program(self.name)

    def command(self, work: Work) -> Command:
        argv = [work.executable, "-o", "stream-json", "--approval-mode", "yolo", "--skip-trust"]
        environ = {"NO_COLOR": "1", "NO_BROWSER": "1"}
        address = work.models.addresses.get("gemini") if work.models else None
        if work.models and address:
            environ |= {"GOOGLE_GEMINI_BASE_URL": address, "GEMINI_API_KEY": work.models.token}
            if work.models.model:
                argv += ["-m", work.models.model]
        # Gemini files sessions by a short name of the workspace's path: with a fixed name they are found from any path.
        root = str(work.workspace.resolve())
        files = {
            ".gemini/settings.json": _settings(work),
            ".gemini/projects.json": json.dumps({"projects": {root: PROJECT}}),
            f".gemini/tmp/{PROJECT}/.project_root": root,
            f".gemini/history/{PROJECT}/.project_root": root,
        }
        if work.resume:
            argv += ["--resume", work.resume]
        return Command(
            tuple(argv),
            environ=environ,
            files=files,
            kept=(f".gemini/tmp/{PROJECT}/chats",),
            first_input=work.prompt,
        )

    def reader(self) -> GeminiReader:
        return GeminiReader()


def _settings(work: Work) -> str:
    settings: dict[str, object] = {
        "general": {
            "enableAutoUpdate": False,
            "enableAutoUpdateNotification": False,
            "maxAttempts": 4,
            # There is nobody who approves a plan, and until then nothing can be changed.
            "plan": {"enabled": False},
        },
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "security": {"auth": {"selectedType": "gemini-api-key"}},
    }
    if work.tools:
        settings["mcpServers"] = {
            "aiworker": {
                "command": work.tools.command,
                "args": list(work.tools.arguments),
                "timeout": TOOL_SECONDS * 1000,
                "trust": True,
            }
        }
    return json.dumps(settings)


class GeminiReader(Reader):
    """Text comes in pieces; it is told when something else comes, or nothing more."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._last_text = ""
        self._fault = ""

    def read(self, line: str) -> Iterator[Event]:
        event = parsed(line)
        kind = event.get("type")
        if kind == "message" and event.get("role") == "assistant":
            self._pieces.append(text(event.get("content")))
            return
        if kind in ("tool_use", "result", "error", "tool_result"):
            yield from self._close_open_text()
        if kind == "init":
            yield SessionStarted(text(event.get("session_id")), text(event.get("model")) or None)
        elif kind == "tool_use":
            yield ToolCall(text(event.get("tool_id")), text(event.get("tool_name")), mapping(event.get("parameters")))
        elif kind == "tool_result":
            said = text(event.get("output")) or text(mapping(event.get("error")).get("message"))
            yield ToolResult(text(event.get("tool_id")), event.get("status") == "success", said)
        elif kind == "error":
            self._fault = text(event.get("message"))
            yield Note(self._fault)
        elif kind == "result":
            is_ok = event.get("status") == "success"
            said = text(mapping(event.get("error")).get("message")) or self._fault
            yield End(is_ok, self._last_text if is_ok else said)

    def rest(self) -> Iterator[Event]:
        return self._close_open_text()

    def classify(self, exit: Exit) -> Classified:  # noqa: A002
        return classify_exit(exit, program="Gemini CLI")

    def _close_open_text(self) -> Iterator[Event]:
        said = "".join(self._pieces)
        self._pieces.clear()
        if said.strip():
            self._last_text = said
            yield Text(said)
