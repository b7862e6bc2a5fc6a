"""The platform's tools for a coding CLI: an MCP server over stdio that forwards each call to the run's Unix socket.

Started by the CLI as `python -I …/mcp_server.py [review] SOCKET`, in a folder that may hold hostile files: `-I` keeps
that folder and PYTHONPATH out of sys.path. It holds no secret: the runner behind the socket has the run's token. It
imports only the standard library and the MCP SDK, because the CLI waits for it at each start.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys

import anyio
from anyio.abc import SocketStream
from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

MOST_BYTES = 2**20
"""Longest line in either direction; the runner's socket has the same limit."""
SIGN_SECONDS = 10.0
"""How often a client that waits for a call is sent a sign of life, so that its idle timeout does not end the call."""

INSTRUCTIONS = """\
Your way to the people who gave you this task: they do not read your replies. ask_user_question if something is \
unclear; request_review when done; also get_task, get_feedback, report_progress, propose_tasks, list_project_tasks."""
"""At most 240 characters: Codex shows the model no more, and lists the tools only when the model looks for them."""

REVIEW_INSTRUCTIONS = """\
Your way to the people who want this review: they do not read your replies. submit_review once, with your verdict; \
also get_task, get_feedback, report_progress."""

_TEXT = {"type": "string", "minLength": 1}


def _tool(name: str, description: str, required: tuple[str, ...] = (), **properties: dict[str, object]) -> types.Tool:
    is_read_only = name.startswith(("get_", "list_"))
    return types.Tool(
        name=name,
        description=description,
        input_schema={"type": "object", "properties": properties, "required": list(required)},
        annotations=types.ToolAnnotations(
            read_only_hint=is_read_only, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
    )


TOOLS = (
    _tool(
        "ask_user_question",
        "Ask the people who gave you this task, and wait for the answer. Use it when the task is ambiguous, when "
        "requirements contradict each other, or before a decision that would be costly to undo. Do not use it for what "
        "the code, the task's text or the feedback already answers. Ask one thing in one question. If the result says "
        "that there is no answer yet, end your turn at once, without doing anything else: you will be started again "
        "with the answer. Asking the same question again returns its answer, if there is one.",
        ("question",),
        question={**_TEXT, "description": "One self-contained question. The reader does not see your session."},
        context={"type": "string", "description": "What the reader needs to know to answer: what you found, where."},
        options={
            "type": "array",
            "items": _TEXT,
            "maxItems": 50,
            "description": "Possible answers to choose from, the recommended one first. People may answer otherwise.",
        },
        blocking={
            "type": "boolean",
            "default": True,
            "description": "False if you can go on with an assumption: the call then returns at once, and the answer "
            "reaches you later.",
        },
        default={"type": "string", "description": "The answer to take if nobody answers in time, if there is a safe "
                 "one. It counts only in projects that allow it."},
    ),
    _tool(
        "report_progress",
        "Tell people who follow the task what you are doing. Use it when you begin a larger step, not for each "
        "command.",
        ("message",),
        message={**_TEXT, "description": "One short sentence, such as: Writing the migration."},
        done={"type": "integer", "minimum": 0, "description": "How many steps are done."},
        total={"type": "integer", "minimum": 0, "description": "How many steps there are."},
    ),
    _tool(
        "get_task",
        "Read the task as it stands now: title, description, branch, the project's test command and instructions, and "
        "the questions of this round with their answers. Use it when you no longer have the task's text.",
    ),
    _tool(
        "get_feedback",
        "Read all feedback on the task so far: rejections, line comments, failed checks, remarks and answers, the "
        "newest first. Use it before you finish, or when you continue earlier work.",
    ),
    _tool(
        "list_project_tasks",
        "List the project's other tasks with their states. Use it before propose_tasks, and to see whether somebody "
        "already works on what you are about to change.",
    ),
    _tool(
        "propose_tasks",
        "Propose follow-up tasks for what you noticed and what is outside of your task, such as a bug elsewhere, "
        "instead of doing it now. A person decides which of them are created.",
        ("tasks",),
        tasks={
            "type": "array",
            "minItems": 1,
            "maxItems": 20,
            "items": {
                "type": "object",
                "properties": {
                    "title": {**_TEXT, "maxLength": 200, "description": "What is to be done, in one line."},
                    "description": {"type": "string", "description": "Why, where, and how to see that it is done."},
                },
                "required": ["title"],
            },
        },
    ),
    _tool(
        "request_review",
        "Say that the task is done. Call it once, at the end, when the change is complete and the tests pass; then end "
        "your turn. The platform checks the result itself on your last commit, and then people review it.",
        ("summary",),
        summary={**_TEXT, "description": "What you changed and why, what you tested, and what the reviewer should look "
                 "at. Markdown."},
    ),
)  # fmt: skip


SUBMIT_REVIEW = _tool(
    "submit_review",
    "Give your verdict on the work that you review. Call it once, when you have made up your mind; then end your turn.",
    ("verdict", "summary"),
    verdict={"type": "string", "enum": ["approve", "request_changes"], "description": "request_changes only for what "
             "must be changed before the work is delivered."},
    summary={**_TEXT, "description": "Your reasons, in a few sentences. Markdown."},
    comments={
        "type": "array",
        "maxItems": 50,
        "description": "Remarks on lines of the change.",
        "items": {
            "type": "object",
            "properties": {
                "path": {**_TEXT, "description": "The file, from the repository's root."},
                "line": {"type": "integer", "minimum": 1, "description": "The line, as it is after the change."},
                "side": {"type": "string", "enum": ["new", "old"], "description": "old: the line was removed, and is "
                         "counted as it was before."},
                "body": {**_TEXT, "description": "What is wrong, and what to do. Markdown."},
            },
            "required": ["path", "line", "body"],
        },
    },
)  # fmt: skip
REVIEW_TOOLS = (
    *(tool for tool in TOOLS if tool.name in {"report_progress", "get_task", "get_feedback"}),
    SUBMIT_REVIEW,
)


async def forward(socket_path: str, name: str, arguments: dict[str, object]) -> tuple[bool, str]:
    """Return whether the call succeeded, and its text. A socket that does not answer gives a text that says so.

    A cancelled call closes the connection, which tells the runner.
    """
    line = json.dumps({"tool": name, "arguments": arguments}).encode() + b"\n"
    if len(line) > MOST_BYTES:
        return False, f"The arguments are longer than {MOST_BYTES} bytes. Shorten them."
    try:
        async with await anyio.connect_unix(socket_path) as stream:
            with contextlib.suppress(anyio.BrokenResourceError):
                # Closed before all was sent: the answer that was sent before says why.
                await stream.send(line)
            answer = await _read_line(stream)
        reply = json.loads(answer)
        return bool(reply["ok"]), str(reply["text"])
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        reason = str(error) or "the connection was closed"
    except (ValueError, KeyError, TypeError):
        reason = "its answer could not be read"
    return False, f"The platform could not be reached ({reason}). Go on without this tool, and finish the task."


async def _read_line(stream: SocketStream) -> bytes:
    """The first line. EndOfStream if the connection ends before it, ValueError if it is longer than MOST_BYTES."""
    received = bytearray()
    while b"\n" not in received:
        received += await stream.receive()
        if len(received) > MOST_BYTES:
            raise ValueError("the answer is too long")
    return bytes(received.partition(b"\n")[0])


def server_for(socket_path: str, *, is_review: bool = False) -> Server:
    async def list_tools(_context: ServerRequestContext, _params: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=list(REVIEW_TOOLS if is_review else TOOLS))

    async def call_tool(context: ServerRequestContext, params: types.CallToolRequestParams) -> types.CallToolResult:
        async with anyio.create_task_group() as group:
            group.start_soon(_show_signs_of_life, context)
            ok, text = await forward(socket_path, params.name, params.arguments or {})
            group.cancel_scope.cancel()
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=not ok)

    instructions = REVIEW_INSTRUCTIONS if is_review else INSTRUCTIONS
    return Server("aiworker", instructions=instructions, on_list_tools=list_tools, on_call_tool=call_tool)


async def _show_signs_of_life(context: ServerRequestContext) -> None:
    """Report progress until cancelled. The SDK sends nothing to a client that asked for no progress."""
    waited = 0.0
    while True:
        await anyio.sleep(SIGN_SECONDS)
        waited += SIGN_SECONDS
        await context.session.report_progress(waited, message="Waiting for the platform")


async def _serve(socket_path: str, is_review: bool) -> None:
    server = server_for(socket_path, is_review=is_review)
    async with stdio_server() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, server.create_initialization_options())


def main() -> None:
    """Serve until standard input ends."""
    is_review = sys.argv[1:-1] == ["review"]
    if len(sys.argv) != 2 + is_review:
        sys.exit("usage: mcp_shim.py [review] SOCKET")
    # An interrupt of the CLI's turn reaches its whole process group; the tools must survive it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    anyio.run(_serve, sys.argv[-1], is_review)


if __name__ == "__main__":
    main()
