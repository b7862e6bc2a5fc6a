"""Makes a checkout ready for a test or start command: its databases, its cached folders, and the setup command."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from common.machine.children import base_environment
from common.machine.waiting import Deadline
from common.values.check import CheckEnd
from common.values.needs import SETUP_SECONDS, Needs
from common.values.service_variables import with_service_variables
from common.values.variable_set import Variables
from workers.needs.caches import cache_key
from workers.needs.databases import WHOLE_SECONDS, Databases, ServicesUnavailable, new_databases
from workers.needs.host import FAILED
from workers.supervisor.endings import watched
from workers.supervisor.logs import Sink, Tail, masked
from workers.supervisor.toolbox import Tools
from workers.supervisor.units import Unit

SETUP_FAILED = "setup_failed"
"""Code of what could not be prepared because the setup command failed: the commit or the project is at fault."""
POLL_SECONDS = 0.03
HOST_GRACE_SECONDS = 2.0
"""How long the databases may take to end before they are killed."""
CODE = Path(__file__).parents[2]
"""The directory of AiWorker's own code."""


class NotReady(Exception):
    """The checkout could not be made ready. code: stable, for programs: SETUP_FAILED, or `service_missing` or
    `service_failed`, which are no fault of the commit. The message is a sentence without secrets.

    was_killed: a signal ended the setup command, maybe one that the machine sent.
    """

    def __init__(self, code: str, reason: str, *, was_killed: bool = False) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.was_killed = was_killed


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


class Workplace:
    """A checkout with what it needs. Call `make_ready`, and always `close`."""

    def __init__(self, tools: Tools, room: Room) -> None:
        self.code = room.directory / "code"
        self.home = room.directory / "home"
        self.variables = room.variables
        """Those of the room; once it is ready also those of its databases."""
        self._tools = tools
        self._room = room
        self._databases: Databases | None = None
        self._host: Unit | None = None
        self._host_end: asyncio.Task[int] | None = None

    @property
    def environ(self) -> dict[str, str]:
        return base_environment(self.home) | dict(self.variables.values)

    @property
    def has_lost_databases(self) -> bool:
        """Whether a database of this workplace ended by itself."""
        return self._host_end is not None and self._host_end.done()

    async def make_ready(self, sink: Sink) -> None:
        """Start the databases and run the setup command, with its output in the sink.

        Raises NotReady, and OSError if no process can be started. On return all processes of the setup command have
        ended.
        """
        await self._start_databases()
        needs = self._room.needs
        if needs.setup_command is None:
            return
        if not needs.cache_paths:
            await self._set_up(needs.setup_command, sink)
            return
        caches, project_id, paths = self._tools.caches, self._room.project_id, needs.cache_paths
        key = await asyncio.to_thread(cache_key, self.code, needs.setup_command, paths)
        _note(sink, await asyncio.to_thread(caches.restore, project_id, key, paths, self.code))
        await self._set_up(needs.setup_command, sink)
        if needs.may_save_cache:
            _note(sink, await asyncio.to_thread(caches.save, project_id, key, paths, self.code))

    async def masked(self, sink: Sink) -> Sink:
        """Return a sink for the output of a program in this workplace, without its secrets."""
        return await masked(sink, self.variables, self._room.password)

    async def close(self) -> None:
        """End the databases and remove them. Safe to repeat."""
        host, self._host = self._host, None
        if self._host_end is not None:
            self._host_end.cancel()
        if host is not None:
            await host.stop(HOST_GRACE_SECONDS)
        if self._databases is not None:
            await asyncio.to_thread(self._databases.remove)

    async def _set_up(self, command: str, sink: Sink) -> None:
        _note(sink, "the setup command begins")
        output, argv = await self.masked(sink), ["sh", "-c", command]
        unit = await self._tools.processes.start(argv, cwd=self.code, env=self.environ, sink=output)
        try:
            ending = await watched(unit, memory_limit=self._room.memory_limit, timeout_seconds=SETUP_SECONDS)
        finally:
            await unit.stop(0)
        if ending.reason is not None:
            was_killed = ending.code is CheckEnd.KILLED
            raise NotReady(SETUP_FAILED, f"the setup command failed: {ending.reason}", was_killed=was_killed)
        _note(sink, "the setup command is done")

    async def _start_databases(self) -> None:
        """Start the databases, if any are needed, and add their variables. Raises NotReady and OSError."""
        if not self._room.needs.services:
            return
        output = Tail()
        try:
            report = self._room.directory / "services.json"
            self._databases = new_databases(self._room.needs.services, self._tools.directory, report)
            self._host = await self._tools.processes.start(
                self._databases.command, cwd=CODE, env=base_environment(self.home), sink=output
            )
            self._host_end = asyncio.create_task(self._host.wait())
            found = await self._reported(self._databases, self._host_end)
        except ServicesUnavailable as error:
            raise NotReady(error.code, str(error)) from error
        if found is None:
            raise NotReady(FAILED, f"the services did not start: {output.text().strip()[-500:]}".rstrip(": "))
        self.variables = with_service_variables(self.variables, found)

    async def _reported(self, databases: Databases, host_end: asyncio.Task[int]) -> Variables | None:
        """Wait for the report. None: the host ended without one, or took longer than WHOLE_SECONDS."""
        deadline = Deadline(WHOLE_SECONDS)
        while (found := databases.variables()) is None and not deadline.is_over:
            if host_end.done():
                # It may have written the report between the two looks.
                return databases.variables()
            await asyncio.sleep(POLL_SECONDS)
        return found


def _note(sink: Sink, text: str | None) -> None:
    if text is not None:
        sink.write(f"[runtime] {text}\n".encode())
