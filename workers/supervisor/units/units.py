"""Start commands and end them with all their descendants.

A unit is one started command with all its descendants. Its processes are found by its session id and by a random mark
in their environment, which daemons that left the session have too; never by a program's name. A confined unit has a pid
namespace of its own, which no process can leave: its processes are the descendants of its leader, and end with it.
Every unit is recorded in a file, so the guard and the next supervisor can kill the units of a killed supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from common.machine import disk
from common.machine.processes.children import tied_to_parent
from common.machine.processes.process_trees import signal_processes
from common.machine.waiting import Deadline
from common.settings.private_files import USUAL_UMASK
from workers.sandbox.limits import Dialer, Reach, SandboxLimits
from workers.sandbox.sandboxes import Enclosed, Refusal, Sandboxes
from workers.supervisor.units.logs import Sink
from workers.supervisor.units.outputs import LoopShare, Output
from workers.supervisor.units.records import KILL_SECONDS, MARK_VARIABLE, Record, family, members, started_at, write

LOOPBACK = "127.0.0.1"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Unit:
    """One started command. Created by `Processes.start`."""

    def __init__(
        self,
        record: Record,
        file: Path,
        process: asyncio.subprocess.Process,
        output: Output,
        enclosed: Enclosed | None,
    ) -> None:
        self._record = record
        self._file = file
        self._process = process
        self._output = output
        self._enclosed = enclosed
        # One thread for each unit: a program that stops its sandbox's first process makes only itself wait.
        self._dialling = ThreadPoolExecutor(1, "dial")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_confined(self) -> bool:
        return self._enclosed is not None and self._enclosed.is_confined

    @property
    def dialer(self) -> Dialer | None:
        """What connects to its ports, if it was started with needs_dial; None: they are this machine's."""
        return self._enclosed

    async def connect(self, port: int, *, limit: int = 2**16) -> Streams:
        """Connect to a port of loopback in the network of the unit. limit: see asyncio's streams. Raises OSError."""
        if self._enclosed is None or not self.is_confined:
            return await asyncio.open_connection(LOOPBACK, port, limit=limit)
        loop = asyncio.get_running_loop()
        try:
            dialled = await loop.run_in_executor(self._dialling, self._enclosed.dial, port)
        except RuntimeError as error:
            raise ConnectionRefusedError("the unit has stopped") from error
        try:
            dialled.setblocking(False)
            await loop.sock_connect(dialled, (LOOPBACK, port))
            return await asyncio.open_connection(sock=dialled, limit=limit)
        except BaseException:
            dialled.close()
            raise

    async def wait(self) -> int:
        """Wait for the command and return its exit status; negative: the signal that killed it. Its output is in the
        log then."""
        status = await self._process.wait()
        await self._output.settle()
        # A background process may keep the pipe open for ever, so this wait is short.
        await asyncio.wait({self._output.copying}, timeout=0.5)
        return status if self._enclosed is None else self._enclosed.exit_status(status)

    @property
    def has_met_memory_bound(self) -> bool:
        """Whether the kernel, or the sandbox, killed it for the bound of its sandbox. Ask before `stop`."""
        return self._enclosed is not None and self._enclosed.broken_bound == "memory"

    @property
    def sandbox_failure(self) -> str | None:
        """Why its sandbox did not let it start, which is no fault of the command; None: it did. Ask at its end."""
        return None if self._enclosed is None else self._enclosed.failure

    def resident_bytes(self) -> int:
        """Return the present resident memory of all processes of the unit."""
        total = 0
        for process in self._members():
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    def unlinked_bytes(self, directory: Path) -> int:
        """Return what its processes occupy on this directory's disk with open files that have no name any more.

        For any thread. What is left out: see `common.machine.disk.unlinked_bytes`.
        """
        return disk.unlinked_bytes([process.pid for process in self._members()], directory)

    async def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM to all processes of the unit, SIGKILL after grace_seconds, and return when all have ended."""
        deadline = Deadline(grace_seconds)
        alive = self._members()
        if grace_seconds:
            signal_processes(alive, signal.SIGTERM)
            while alive and not deadline.is_over:
                await asyncio.sleep(0.03)
                alive = self._members()
        deadline = Deadline(KILL_SECONDS)
        while alive and not deadline.is_over:
            signal_processes(alive, signal.SIGKILL)
            await asyncio.sleep(0.02)
            alive = self._members()
        await self._process.wait()
        await self._output.settle()
        await asyncio.wait({self._output.copying}, timeout=1)
        self._output.copying.cancel()
        self._dialling.shutdown(wait=False, cancel_futures=True)
        if self._enclosed is not None:
            # Of a confined unit, this waits for the end of processes that have lost their leader.
            await asyncio.to_thread(self._enclosed.close)
        self._file.unlink(missing_ok=True)

    def _members(self) -> list[psutil.Process]:
        if self.is_confined:
            # The search below reads the environment of every process of the machine, which takes long.
            return family(self._record)
        return members([self._record], leader_may_be_gone=True)


class Processes:
    """Starts units for one supervisor and records them in its own directory."""

    def __init__(self, directory: Path, sandboxes: Sandboxes) -> None:
        self.sandboxes = sandboxes
        self._share = LoopShare()
        self._epoch = secrets.token_hex(8)
        self.directory = directory / self._epoch
        self.directory.mkdir(parents=True)

    def has_own_network(self, reach: Reach) -> bool:
        """Whether a command with this reach gets a network of its own, in which every port is free."""
        return not self.sandboxes.shares_network(reach)

    async def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        sink: Sink,
        sandbox_limits: SandboxLimits | None,
        on_refusal: Callable[[Refusal], None] | None = None,
        needs_dial: bool = False,
    ) -> Unit:
        """Start a command in its own session, with its output sent to the sink. Raises OSError if that fails.

        sandbox_limits, on_refusal, needs_dial: see `Sandboxes.enclose`. sandbox_limits None: a program of AiWorker; it
        is not confined.
        """
        mark = f"{self._epoch}-{secrets.token_hex(8)}"
        environ = {**env, MARK_VARIABLE: mark}
        enclosed = None if sandbox_limits is None else self.sandboxes.enclose(
            argv, cwd=cwd, environ=environ, sandbox_limits=sandbox_limits, on_refusal=on_refusal, needs_dial=needs_dial
        )  # fmt: skip
        file = self.directory / f"{mark}.json"
        try:
            # Recorded before it starts, so that there is no moment in which it runs unrecorded.
            write(file, Record(mark, None, None))
            process, output = await _started_process(enclosed or Enclosed(argv, cwd, environ), sink, self._share)
        except BaseException:
            file.unlink(missing_ok=True)
            if enclosed is not None:
                enclosed.close()
            raise
        if enclosed is not None:
            enclosed.begin(process.pid)
        record = Record(mark, process.pid, started_at(process.pid))
        # On a full disk this may fail. The command runs already, and is found by its mark, which the file's name tells.
        with contextlib.suppress(OSError):
            write(file, record)
        return Unit(record, file, process, output, enclosed)


async def _started_process(
    enclosed: Enclosed, sink: Sink, share: LoopShare
) -> tuple[asyncio.subprocess.Process, Output]:
    """Start the command, with its output copied to the sink."""
    # Not asyncio's pipe: with that, `wait` would last until every process that holds the pipe has ended.
    ours, theirs = os.pipe()
    output = Output(ours, sink, share)
    try:
        process = await asyncio.create_subprocess_exec(
            # This ends only the command itself if the supervisor dies; the guard kills its descendants.
            *tied_to_parent(),
            *enclosed.argv,
            cwd=enclosed.cwd,
            env=enclosed.environ,
            pass_fds=enclosed.pass_fds,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=theirs,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            umask=USUAL_UMASK,
        )
    finally:
        os.close(theirs)
    return process, output
