"""Makes a checkout ready for a test command or a start command: runs the project's setup command in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.machine.children import base_environment
from common.values.needs import SETUP_SECONDS, Needs
from common.values.variable_set import Variables
from workers.supervisor.endings import watched
from workers.supervisor.logs import Sink, masked
from workers.supervisor.tools import Tools

SETUP_FAILED = "setup_failed"
"""Code of what could not be prepared because the setup command failed: the commit or the project is at fault."""


class NotReady(Exception):
    """The checkout could not be made ready. code: stable, for programs. The message is a sentence without secrets."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class Room:
    """Where a command will run: directory/code, the checkout, and directory/home.

    variables, password: the environment of the command, and the password that the code was cloned with. memory_limit: a
    Kubernetes quantity, also the setup command's limit.
    """

    project_id: str
    directory: Path
    needs: Needs
    variables: Variables
    password: str | None
    memory_limit: str | None

    @property
    def code(self) -> Path:
        return self.directory / "code"

    @property
    def environ(self) -> dict[str, str]:
        return base_environment(self.directory / "home") | dict(self.variables.values)


async def set_up(tools: Tools, room: Room, sink: Sink) -> None:
    """Run the setup command, if there is one, with its output in the sink. Raises NotReady, and OSError if no process
    can be started. On return all processes of the setup command have ended."""
    command = room.needs.setup_command
    if command is None:
        return
    sink.write(b"[runtime] the setup command begins\n")
    output = await masked(sink, room.variables, room.password)
    unit = await tools.processes.start(["sh", "-c", command], cwd=room.code, env=room.environ, sink=output)
    try:
        ending = await watched(unit, memory_limit=room.memory_limit, timeout_seconds=SETUP_SECONDS)
    finally:
        await unit.stop(0)
    if ending.reason is not None:
        raise NotReady(SETUP_FAILED, f"the setup command failed: {ending.reason}")
    sink.write(b"[runtime] the setup command is done\n")
