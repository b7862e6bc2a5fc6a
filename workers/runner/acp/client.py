"""`python -m workers.runner.acp.client`: works with a CLI that speaks the Agent Client Protocol, without people.

Standard input: a first line with the task (`AcpTask` in drivers/acp.py), then `{"message"}` for what a
person says (the next turn) and `{"interrupt": true}`. Its end ends the session after the present turn. Standard output:
one event a line, as workers/runner/drivers/acp.py reads it. The CLI is a child, with this process's environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from acp.client.connection import ClientSideConnection
from acp.exceptions import RequestError
from acp.schema import (
    ClientCapabilities,
    McpServerStdio,
    PermissionOption,
    RequestPermissionResponse,
    TextContentBlock,
    ToolCallUpdate,
)
from pydantic import BaseModel, ValidationError

from common.machine.processes.process_trees import signal_processes
from common.machine.waiting import Deadline
from workers.runner.acp.lines import ObjectLines
from workers.runner.acp.permissions import Permissions
from workers.runner.acp.user_messages import UserMessages
from workers.runner.drivers.acp import AcpTask
from workers.runner.drivers.json_lines import Json, mapping, mappings, number, text
from workers.runner.drivers.moved_sessions import drop_opencode_sessions, move_opencode_session

PROTOCOL_VERSION = 1
LONGEST_LINE_BYTES = 64 * 2**20
START_SECONDS = 120.0
STOP_SECONDS = 5.0
SETTLE_SECONDS = 0.3
WATCH_SECONDS = 0.2
LOADED_SESSION_SECONDS = 2.0
"""How long after a session was loaded something of it may still be on its way."""
LAST_OUTPUT_SECONDS = 2.0
"""How long the output of a program that has ended may stay open: a child that lives on may hold it."""


@dataclass
class _Call:
    """What is known of a tool call so far; the protocol tells it piece by piece."""

    name: str = ""
    input: Json = field(default_factory=dict)
    output: str = ""
    changes: list[dict[str, str]] = field(default_factory=list)
    is_shown: bool = False
    is_over: bool = False


class Listener:
    """Prints what the agent does. While `is_quiet` nothing is printed: a loaded session is told again. has_heard: set
    once something of a conversation was told.
    """

    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions
        self.is_quiet = False
        self.has_heard = asyncio.Event()
        self.last_text = ""
        self._kind = ""
        self._pieces: list[str] = []
        self._calls: dict[str, _Call] = {}
        self._due: dict[str, asyncio.TimerHandle] = {}

    def write_event(self, event: str, **fields: object) -> None:
        if self.is_quiet:
            return
        if event not in ("text", "thinking"):
            self.flush()
        print(json.dumps({"event": event, **fields}), flush=True)

    def flush(self) -> None:
        """Print the text that has come in pieces."""
        text, kind = "".join(self._pieces), self._kind
        self._pieces.clear()
        if text.strip():
            self.last_text = text if kind == "text" else self.last_text
            self.write_event(kind, text=text)

    def on_connect(self, conn: object) -> None:
        """Called by the SDK."""

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_: object
    ) -> RequestPermissionResponse:
        call: Json = tool_call.model_dump(by_alias=True, exclude_none=True)
        self._tool(call)
        return await self._permissions.decide(call, options)

    async def session_update(self, session_id: str, update: BaseModel, **_: object) -> None:
        given: Json = update.model_dump(by_alias=True, exclude_none=True)
        kind = given.get("sessionUpdate")
        if kind == "tool_call" or text(kind).endswith("_chunk"):
            self.has_heard.set()
        if kind in ("agent_message_chunk", "agent_thought_chunk"):
            self._piece(
                "text" if kind == "agent_message_chunk" else "thinking", text(mapping(given.get("content")).get("text"))
            )
        elif kind in ("tool_call", "tool_call_update"):
            self._tool(given)
        elif kind == "plan":
            steps = [
                [text(one.get("content")), one.get("status") == "completed"] for one in mappings(given.get("entries"))
            ]
            self.write_event("plan", steps=steps)

    def _piece(self, kind: str, text: str) -> None:
        if self.is_quiet:
            return
        if kind != self._kind:
            self.flush()
            self._kind = kind
        self._pieces.append(text)

    def _tool(self, given: Json) -> None:
        call_id = str(given["toolCallId"])
        call = self._calls.setdefault(call_id, _Call())
        if call.is_over:
            return
        # The first title names the tool; a later one tells what it works on.
        call.name = call.name or _tool_name(given)
        call.input = mapping(given.get("rawInput")) or call.input
        call.output, changes = _output(given) or call.output, _changes(given)
        call.changes = changes or call.changes
        status = given.get("status")
        is_over = status in ("completed", "failed")
        if is_over:
            self._show(call_id, call)
            call.is_over = True
            self.write_event(
                "result", id=call_id, ok=status == "completed", text=call.output, exitCode=_exit_code(given)
            )
        elif call.input and not call.is_shown and call_id not in self._due:
            # The input may come in several updates, one right after the other.
            self._due[call_id] = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._show, call_id, call)

    def _show(self, call_id: str, call: _Call) -> None:
        due = self._due.pop(call_id, None)
        if due is not None:
            due.cancel()
        if not call.is_shown:
            call.is_shown = True
            shown = {**call.input, **({"changes": call.changes} if call.changes else {})}
            self.write_event("call", id=call_id, name=call.name or "tool", input=shown)


def _tool_name(given: Json) -> str:
    return text(mapping(given.get("_meta")).get("toolName")) or text(given.get("title"))


def _output(given: Json) -> str:
    contents = (
        mapping(block.get("content")) for block in mappings(given.get("content")) if block.get("type") == "content"
    )
    said = "\n".join(text(content.get("text")) for content in contents)
    raw = given.get("rawOutput")
    if said or raw is None:
        return said
    fields = mapping(raw)
    return text(raw) or text(fields.get("output")) or text(fields.get("error")) or json.dumps(raw)


def _changes(given: Json) -> list[dict[str, str]]:
    return [
        {name: text(block.get(name)) for name in ("path", "oldText", "newText")}
        for block in mappings(given.get("content"))
        if block.get("type") == "diff"
    ]


def _exit_code(given: Json) -> int | None:
    raw = mapping(given.get("rawOutput"))
    for place in (raw, mapping(raw.get("metadata"))):
        for name in ("exitCode", "exit_code", "exit"):
            code = number(place.get(name))
            if code is not None:
                return code
    return None


async def work(task: AcpTask) -> int:
    """Run the session to its end; returns the exit code."""
    user_input = UserMessages()
    listener = Listener(Permissions(task["tools"]["arguments"][-1] if task["tools"] else None, user_input))
    if task["opencode_database"]:
        database = Path(task["opencode_database"])
        if task["resume"]:
            move_opencode_session(database, task["workspace"], task["resume"])
        else:
            drop_opencode_sessions(database)
    # A program that the CLI starts could open a pipe anew by /proc/<pid>/fd and speak for the CLI. A socket it can't;
    # asyncio makes the standard input one by itself.
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *task["command"], stdin=asyncio.subprocess.PIPE, stdout=theirs.fileno(), cwd=task["workspace"]
            )
    except OSError as error:
        ours.close()
        listener.write_event("end", ok=False, text=f"{task['command'][0]} can't be started: {error.strerror}")
        return 1
    assert process.stdin is not None
    output, closing = await asyncio.open_unix_connection(sock=ours, limit=LONGEST_LINE_BYTES)
    connection = ClientSideConnection(listener, ObjectLines(output, process.stdin))  # type: ignore[arg-type]
    gone = asyncio.create_task(_ended(process, output))
    talk = asyncio.create_task(_talk(connection, listener, user_input, task))
    try:
        await asyncio.wait({gone, talk}, return_when=asyncio.FIRST_COMPLETED)
        if talk.done():
            return talk.result()
        listener.write_event(
            "end", ok=False, text=f"the program ended in the middle of its work (exit code {gone.result()})"
        )
        return 1
    except (RequestError, ValidationError, ConnectionError, TimeoutError) as error:
        listener.write_event("end", ok=False, text=_words(error))
        return 1
    finally:
        # It may be stopped in the middle of what it says.
        listener.flush()
        gone.cancel()
        talk.cancel()
        with contextlib.suppress(Exception):
            await connection.close()
        await _stop(process)
        closing.close()


async def _ended(process: asyncio.subprocess.Process, output: asyncio.StreamReader) -> int:
    """Wait until the program has ended and its output is read. Returns its exit code."""
    # Not `wait()`: it also waits for the grandchildren that hold the pipes open.
    while process.returncode is None:
        await asyncio.sleep(WATCH_SECONDS)
    # What it said last may still be on its way.
    deadline = Deadline(LAST_OUTPUT_SECONDS)
    while not (output.at_eof() or deadline.is_over):
        await asyncio.sleep(WATCH_SECONDS)
    return process.returncode


async def _talk(connection: ClientSideConnection, listener: Listener, user_input: UserMessages, task: AcpTask) -> int:
    async with asyncio.timeout(START_SECONDS):
        session = await _open(connection, listener, task)
    listener.write_event("session", id=session)
    user_input.start_reading()
    prompt: str | None = task["prompt"]
    fault = ""
    while prompt is not None:
        fault = await _turn(connection, user_input, session, prompt)
        listener.flush()
        if user_input.messages.empty():
            # Now the input is closed, unless a message comes at this very moment.
            listener.write_event("end", ok=not fault, text=fault or listener.last_text)
            prompt = await user_input.messages.get()
            continue
        prompt = user_input.messages.get_nowait()
        if prompt is None:
            listener.write_event("end", ok=not fault, text=fault or listener.last_text)
        elif fault:
            listener.write_event("note", text=fault)
    return 1 if fault else 0


async def _open(connection: ClientSideConnection, listener: Listener, task: AcpTask) -> str:
    """Open or resume the session; returns its id."""
    about = await connection.initialize(PROTOCOL_VERSION, client_capabilities=ClientCapabilities())
    tools = task["tools"]
    servers = (
        [McpServerStdio(name="aiworker", command=tools["command"], args=tools["arguments"], env=[])] if tools else []
    )
    resume = task["resume"]
    if not resume:
        opened = await connection.new_session(task["workspace"], mcp_servers=list(servers))
        return opened.session_id
    abilities = about.agent_capabilities
    sessions = abilities.session_capabilities if abilities else None
    listener.is_quiet = True
    try:
        # Some that say they can resume answer that they can't; loading tells the session again, which is not shown.
        if abilities is not None and abilities.load_session:
            await connection.load_session(cwd=task["workspace"], session_id=resume, mcp_servers=list(servers))
            await _require_session_shown(listener)
        elif sessions is not None and sessions.resume is not None:
            await connection.resume_session(cwd=task["workspace"], session_id=resume, mcp_servers=list(servers))
        else:
            raise RequestError(-32601, "this program can't resume a session: No conversation found")
    finally:
        listener.is_quiet = False
    return resume


async def _require_session_shown(listener: Listener) -> None:
    """Raise RequestError if the loaded session is not told again, as the protocol demands: it is an empty one then."""
    try:
        async with asyncio.timeout(LOADED_SESSION_SECONDS):
            await listener.has_heard.wait()
    except TimeoutError:
        raise RequestError(-32603, "No conversation found: the program loaded an empty session") from None


async def _turn(connection: ClientSideConnection, user_input: UserMessages, session: str, prompt: str) -> str:
    """One turn; returns why it did not end by itself, or an empty text."""
    user_input.is_in_turn = True
    answer = asyncio.create_task(connection.prompt(session, [TextContentBlock(type="text", text=prompt)]))
    while not answer.done():
        interrupted = asyncio.create_task(user_input.interrupted.wait())
        await asyncio.wait({answer, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        if user_input.interrupted.is_set():
            user_input.interrupted.clear()
            await connection.cancel(session)
        interrupted.cancel()
    user_input.is_in_turn = False
    reason = answer.result().stop_reason
    return "" if reason == "end_turn" else f"The turn ended: {reason}"


def _words(error: RequestError | ValidationError | ConnectionError | TimeoutError) -> str:
    if isinstance(error, RequestError):
        details = error.data if isinstance(error.data, str) else json.dumps(error.data) if error.data else ""
        return f"{error}{f': {details}' if details else ''}"
    if isinstance(error, ValidationError):
        fault = error.errors()[0]
        where = ".".join(map(str, (error.title, *fault["loc"])))
        return f"the program's answer is not as the protocol has it: {where}: {fault['msg']}"
    if isinstance(error, TimeoutError):
        return f"the program did not open a session within {START_SECONDS:.0f} s"
    return "the program closed its output in the middle of its work"


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the program and what it has started. Some start themselves anew and do not pass signals on."""
    descendants: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        descendants = psutil.Process(process.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    # Not `wait()`: it also waits for the grandchildren that hold the pipes open.
    deadline = Deadline(STOP_SECONDS)
    while process.returncode is None and not deadline.is_over:
        await asyncio.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    signal_processes(descendants, signal.SIGKILL)
    # Otherwise asyncio closes its ends of the pipes when the loop is gone, and complains.
    process._transport.close()  # type: ignore[attr-defined]


def main() -> int:
    """Exit status 0: the last turn ended by itself; 1: anything else."""
    return asyncio.run(work(json.loads(sys.stdin.readline())))


if __name__ == "__main__":
    sys.exit(main())
