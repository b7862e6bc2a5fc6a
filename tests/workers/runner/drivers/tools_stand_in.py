"""The platform's tools, as a CLI sees them: an MCP server over stdio that forwards to a socket, and that socket.

`python tools_stand_in.py SOCKET` is the server. `RunTools` answers at the socket and keeps what was asked.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from pathlib import Path
from typing import Any, Self

from mcp.server import MCPServer

server = MCPServer("aiworker", instructions="Talk to the people who own this task.")


@server.tool()
def ask_user_question(question: str, context: str = "") -> str:
    """Ask the people who own this task a question and wait for the answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(sys.argv[1])
        asked = {"tool": "ask_user_question", "arguments": {"question": question, "context": context}}
        connection.sendall(json.dumps(asked).encode() + b"\n")
        with connection.makefile("rb") as reply:
            return str(json.loads(reply.readline())["text"])


class RunTools:
    """Answers every call at a Unix socket with one text."""

    def __init__(self, path: Path, answer: str) -> None:
        self.path, self.answer = path, answer
        self.calls: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> Self:
        self._socket.bind(str(self.path))
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                self.calls.append(json.loads(lines.readline()))
                connection.sendall(json.dumps({"ok": True, "text": self.answer}).encode() + b"\n")


if __name__ == "__main__":
    server.run("stdio")
