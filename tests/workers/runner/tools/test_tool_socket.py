"""The run's socket for tools, as a process of the agent could misuse it."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from tests.long_waits import LONG_WAIT_SECONDS
from workers.runner.tools import tool_socket
from workers.runner.tools.tool_socket import Reply, Request, ToolSocket


class Echo:
    def answer(self, request: Request) -> Reply:
        return Reply(True, str(request.arguments.get("text", request.tool)))


class Holding:
    """Holds every call until its client is gone."""

    def __init__(self) -> None:
        self.held = threading.Event()
        self.ended = threading.Event()

    def answer(self, request: Request) -> Reply:
        self.held.set()
        while not request.is_abandoned():
            threading.Event().wait(0.01)
        self.ended.set()
        return Reply(True, "")


def send(path: Path, line: bytes) -> bytes:
    """The whole answer to these bytes; empty if the connection was closed without one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(LONG_WAIT_SECONDS)
        client.connect(str(path))
        received = b""
        try:
            client.sendall(line)
            while part := client.recv(65536):
                received += part
        except (BrokenPipeError, ConnectionResetError):
            pass
        return received


def line_of(tool: str, **arguments: object) -> bytes:
    return json.dumps({"tool": tool, "arguments": arguments}).encode() + b"\n"


def test_a_call_is_one_line_and_so_is_its_answer(tmp_path: Path) -> None:
    with ToolSocket(tmp_path, Echo()) as tools:
        assert tools.path == tmp_path / "tools.sock"
        assert stat.S_IMODE(tools.path.stat().st_mode) == 0o600
        assert send(tools.path, line_of("get_task")) == b'{"ok": true, "text": "get_task"}\n'
    assert not tools.path.exists()
    tools.close()


@pytest.mark.parametrize(
    "line",
    [b"{\n", b'{"tool": 1, "arguments": {}}\n', b"[" * 50_000],
)
def test_what_is_no_call_is_refused_in_words(tmp_path: Path, line: bytes) -> None:
    with ToolSocket(tmp_path, Echo()) as tools:
        answer = json.loads(send(tools.path, line + b"\n"))
        assert answer["ok"] is False
        assert answer["text"].startswith("The call ")
        assert send(tools.path, line_of("get_task"))


def test_other_users_processes_are_not_answered(tmp_path: Path) -> None:
    with ToolSocket(tmp_path, Echo(), uid=os.geteuid()) as tools:
        assert send(tools.path, line_of("get_task"))
    if os.geteuid() == 0:
        with ToolSocket(tmp_path, Echo(), uid=12345) as tools:
            assert tools.path.stat().st_uid == 12345
            assert send(tools.path, line_of("get_task")) == b""


def test_closing_abandons_the_calls_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # However long this machine lets none of them run: it waits for them.
    monkeypatch.setattr(tool_socket, "_CLOSE_SECONDS", LONG_WAIT_SECONDS)
    tool_handler = Holding()
    with ToolSocket(tmp_path, tool_handler) as tools:
        caller = threading.Thread(target=send, args=(tools.path, line_of("wait")))
        caller.start()
        assert tool_handler.held.wait(LONG_WAIT_SECONDS)
        threads = {thread.name for thread in threading.enumerate()}
        assert {"run's tools", "tool call"} <= threads
    assert tool_handler.ended.is_set()
    caller.join(LONG_WAIT_SECONDS)
    assert not caller.is_alive()
    assert "run's tools" not in {thread.name for thread in threading.enumerate()}
