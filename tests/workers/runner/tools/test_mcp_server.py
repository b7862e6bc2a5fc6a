"""The tools' server as a coding CLI meets it: started over stdio in a hostile folder, against a real socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import ClientSession

from tests.long_waits import LONG_WAIT_SECONDS
from tests.workers.runner.mcp_client import call, with_client
from workers.runner.tools.mcp_server import INSTRUCTIONS, TOOLS
from workers.runner.tools.tool_socket import Reply, Request, ToolSocket


class RecordingHandler:
    """Says what it was asked. `wait` is held until `gate` is set."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def answer(self, request: Request) -> Reply:
        if request.tool == "fails":
            return Reply(False, "It failed, because of the test.")
        if request.tool == "bug":
            raise RuntimeError("a bug")
        if request.tool == "wait":
            self.gate.wait(LONG_WAIT_SECONDS)
        return Reply(True, f"{request.tool}: {dict(request.arguments)}")


@pytest.fixture
def tool_handler() -> RecordingHandler:
    return RecordingHandler()


@pytest.fixture
def tools(tmp_path: Path, tool_handler: RecordingHandler) -> Iterator[ToolSocket]:
    with ToolSocket(tmp_path, tool_handler) as served:
        yield served
        tool_handler.gate.set()


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A clone whose files would run if anything were imported from it."""
    clone = tmp_path / "clone"
    for name in ("mcp", "anyio", "workers", "common"):
        (clone / name).mkdir(parents=True)
        (clone / name / "__init__.py").write_text("open('imported', 'w').close(); raise SystemExit('hostile')")
    for name in ("json", "signal", "sitecustomize", "usercustomize"):
        (clone / f"{name}.py").write_text("open('imported', 'w').close(); raise SystemExit('hostile')")
    (clone / "pyvenv.cfg").write_text("home = /nowhere\n")
    (clone / ".env").write_text("FASTMCP_DEBUG=nonsense\nMCP_DEBUG=nonsense\n")
    return clone


@pytest.mark.slow
def test_a_hostile_clone_runs_nothing_and_the_tools_work(tools: ToolSocket, hostile: Path) -> None:
    async def work(session: ClientSession) -> tuple[list[str], tuple[bool, str]]:
        listed = await session.list_tools()
        return [tool.name for tool in listed.tools], await call(session, "get_task", ü="é")

    names, answer = with_client(tools, work, cwd=hostile)
    assert names == [tool.name for tool in TOOLS]
    assert len(INSTRUCTIONS) <= 240
    assert answer == (True, "get_task: {'ü': 'é'}")
    assert not (hostile / "imported").exists()


@pytest.mark.slow
def test_failures_are_results_in_words(tools: ToolSocket) -> None:
    async def work(session: ClientSession) -> list[tuple[bool, str]]:
        return [
            await call(session, "fails"),
            await call(session, "bug"),
            await call(session, "get_task", text="x" * 2**20),
            await call(session, "get_task", text="y"),
        ]

    failed, bug, long, fine = with_client(tools, work)
    assert failed == (False, "It failed, because of the test.")
    assert bug == (False, "The platform failed at this call. Go on without it.")
    assert long == (False, f"The arguments are longer than {2**20} bytes. Shorten them.")
    assert fine[0]
