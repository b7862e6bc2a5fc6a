"""Codex: `codex exec`, with JSON lines out and the prompt on standard input.

The workspace is not trusted, so nothing of the repository's own `.codex/` is obeyed. The repository's AGENTS.md is in
the prompt already. Its own question tool, which `exec` refuses, is not offered: the model asks with the platform's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from workers.runner.drivers.json_lines import Json, content_text, mapping, mappings, number, parsed, text
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
_MOST_OPEN_CALLS = 1000
_LONGEST_ID = 200
_CALLS = ("command_execution", "mcp_tool_call", "file_change", "web_search", "collab_tool_call")


class CodexDriver:
    name = "codex"
    api: str | None = "openai"

    def check(self) -> DriverFinding:
        return check_program(self.name)

    def command(self, work: Work) -> Command:
        argv = [work.executable, "exec", *(["resume"] if work.resume else []), "--json", "--skip-git-repo-check"]
        argv += [*([work.resume] if work.resume else []), "-"]
        environ = {"CODEX_HOME": str(work.home / ".codex")}
        if work.models:
            environ["OPENAI_API_KEY"] = work.models.token
        return Command(
            tuple(argv),
            environ=environ,
            files={".codex/config.toml": _config(work)},
            kept=(".codex/sessions",),
            first_input=work.prompt,
        )

    def reader(self) -> CodexReader:
        return CodexReader()


def _config(work: Work) -> str:
    """The whole configuration. A JSON text is a valid basic string of TOML."""
    quoted = json.dumps
    lines = [
        'approval_policy = "never"',
        'sandbox_mode = "danger-full-access"',
        "check_for_update_on_startup = false",
        # The repository's instructions are in the prompt.
        "project_doc_max_bytes = 0",
    ]
    # An unknown model loses the tool apply_patch, so codex's default is better than a guess.
    if work.models and work.models.model:
        lines.append(f"model = {quoted(work.models.model)}")
    address = work.models.addresses.get("openai") if work.models else None
    if address:
        lines.append('model_provider = "aiworker"')
    lines += [
        # Its plugins are fetched from the network at each start.
        "[features]",
        "plugins = false",
        # Offered, and refused when called: the model shall ask with the platform's tool.
        "[tools.experimental_request_user_input]",
        "enabled = false",
        "[analytics]",
        "enabled = false",
        f"[projects.{quoted(str(work.workspace))}]",
        'trust_level = "untrusted"',
    ]
    if address:
        lines += [
            "[model_providers.aiworker]",
            'name = "AiWorker"',
            f"base_url = {quoted(address + '/v1')}",
            'env_key = "OPENAI_API_KEY"',
            'wire_api = "responses"',
            "request_max_retries = 3",
            "stream_max_retries = 3",
        ]
    if work.tools:
        lines += [
            "[mcp_servers.aiworker]",
            f"command = {quoted(work.tools.command)}",
            f"args = {quoted(list(work.tools.arguments))}",
            "required = true",
            "startup_timeout_sec = 30",
            f"tool_timeout_sec = {TOOL_SECONDS}",
        ]
    return "\n".join(lines) + "\n"


class CodexReader(Reader):
    def __init__(self) -> None:
        self._last_text = ""
        self._open_calls: dict[str, None] = {}
        self._turn = 0
        self._error = ""

    def read(self, line: str) -> Iterator[Event]:
        event = parsed(line)
        kind, item = event.get("type"), mapping(event.get("item"))
        if kind == "thread.started":
            yield SessionStarted(text(event.get("thread_id")))
        elif kind == "turn.started":
            self._turn += 1
        elif kind in ("item.started", "item.updated", "item.completed"):
            self._error = ""
            yield from self._item(text(item.get("type")), item, is_done=kind == "item.completed")
        elif kind == "turn.completed":
            yield End(True, self._last_text)
        elif kind == "turn.failed":
            yield End(False, text(mapping(event.get("error")).get("message")) or self._error)
        elif kind == "error":
            self._error = text(event.get("message"))
            yield Note(self._error)

    def classify(self, exit: Exit) -> Classified:  # noqa: A002
        # Without a network it waits for it, as long as it may run: then the last error tells why nothing was done.
        if exit.end is None and self._error:
            exit = replace(exit, end=End(False, self._error))  # noqa: A001
        return classify_exit(exit, program="Codex")

    def _item(self, kind: str, item: Json, *, is_done: bool) -> Iterator[Event]:
        if kind in _CALLS:
            # Item ids begin anew with each turn.
            call_id = f"{self._turn}:{text(item.get('id'))[:_LONGEST_ID]}"
            if call_id not in self._open_calls:
                self._open_calls[call_id] = None
                if len(self._open_calls) > _MOST_OPEN_CALLS:
                    del self._open_calls[next(iter(self._open_calls))]
                yield ToolCall(call_id, text(item.get("tool")) or kind, _input(kind, item))
            if is_done:
                self._open_calls.pop(call_id, None)
                yield _result(call_id, item)
        elif kind == "todo_list":
            steps = ((text(one.get("text")), bool(one.get("completed"))) for one in mappings(item.get("items")))
            yield Plan(tuple(steps))
        elif kind == "agent_message" and is_done:
            self._last_text = text(item.get("text"))
            yield Text(self._last_text)
        elif kind == "reasoning" and is_done:
            yield Thinking(text(item.get("text")))
        elif kind == "error" and is_done:
            yield Note(text(item.get("message")))


def _input(kind: str, item: Json) -> Json:
    if kind == "command_execution":
        return {"command": text(item.get("command"))}
    if kind == "file_change":
        return {"changes": list(mappings(item.get("changes")))}
    if kind == "web_search":
        return {"query": text(item.get("query"))}
    return mapping(item.get("arguments"))


def _result(call_id: str, item: Json) -> ToolResult:
    said = text(item.get("aggregated_output")) or content_text(mapping(item.get("result")).get("content"))
    said = said or text(mapping(item.get("error")).get("message"))
    code = number(item.get("exit_code"))
    return ToolResult(call_id, item.get("status") in (None, "completed"), said, code)
