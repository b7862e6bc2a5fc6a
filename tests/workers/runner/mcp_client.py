"""The SDK's client of the tools' server, which it starts over stdio as a coding CLI does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
from mcp import ClientSession, StdioServerParameters, types
from mcp.client.stdio import stdio_client

from tests.long_waits import LONG_WAIT_SECONDS
from workers.runner.tools.tool_socket import ToolSocket

Result = TypeVar("Result")


def with_client(
    tools: ToolSocket, work: Callable[[ClientSession], Awaitable[Result]], *, cwd: Path | None = None
) -> Result:
    """Start the server as a CLI does, and let the client work with it."""
    server = tools.server
    environ = {"PYTHONPATH": str(cwd), "PYTHONSTARTUP": "json.py"} if cwd else {}
    parameters = StdioServerParameters(command=server.command, args=list(server.arguments), cwd=cwd, env=environ)

    async def connect() -> Result:
        with anyio.fail_after(LONG_WAIT_SECONDS):
            async with stdio_client(parameters) as streams, ClientSession(*streams) as session:
                await session.initialize()
                return await work(session)

    return anyio.run(connect)


async def call(session: ClientSession, tool: str, **arguments: Any) -> tuple[bool, str]:
    result = await session.call_tool(tool, arguments)
    [content] = result.content
    assert isinstance(content, types.TextContent)
    return not result.is_error, content.text
