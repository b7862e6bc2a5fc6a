"""The thread that serves the forwarded ports and proxies of all sandboxes of this process.

It accepts on listening sockets that lie in the networks of the sandboxes; what it connects to lies in this machine's.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import functools
import logging
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from workers.sandbox.control_groups import Group
from workers.sandbox.limits import Bounds, Dialer, ForwardedPort
from workers.sandbox.network import path_filter
from workers.sandbox.network.accepting import readable, serve_connections
from workers.sandbox.network.egress_proxy import ProxiedPort, Proxy
from workers.sandbox.network.http_exchanges import Streams
from workers.sandbox.network.http_messages import LONGEST_HEAD_BYTES
from workers.sandbox.network.outbound import Outbound
from workers.sandbox.network.relays import close, relay
from workers.sandbox.process_use import tree_use

logger = logging.getLogger("workers.sandbox")

HANDSHAKE_SECONDS = 60.0
CONNECTIONS_AT_ONCE = 256
"""Of one sandbox. More wait until one of these ends, so that none takes the descriptors of the others."""
_LOOKUP_THREADS = 16
_LOOPBACK = "127.0.0.1"
_WATCH_SECONDS = 0.5
_MOST_SOCKETS = 128
_LAG_SECONDS = 0.25
_CREDENTIALS = struct.Struct("3i")


@dataclass
class GuardedSandbox:
    """What the proxy thread does for one sandbox.

    control: the socket to its first program. forwarded_ports, proxy: in the order of the listening sockets, the proxy's
    last. outbound: makes its network; called in a thread with the number of a
    process inside. Afterwards made_outbound is to be closed. lifeline: how /proc names the socket
    that it holds. waits: whether it has a first program, which waits for its forwarded ports. failure: why it was not
    let go. is_over: set at the end.
    """

    control: socket.socket
    forwarded_ports: tuple[ForwardedPort, ...] = ()
    proxy: Callable[[], Proxy] | None = None
    outbound: Callable[[int], Outbound] | None = None
    bounds: Bounds = field(default_factory=Bounds)
    group: Group = field(default_factory=Group)
    pid: int = 0
    pidfd: int = -1
    lifeline: str = ""
    waits: bool = True
    is_ready: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)
    failure: str | None = None
    broken_bound: str | None = None
    made_outbound: Outbound | None = None

    @property
    def has_ended(self) -> bool:
        """Whether all of its processes have: its first process inside, which ends last, has let the socket go."""
        return has_event(self.control, 0)  # the end of the other side is told in any case


class ProxyThread:
    """Starts its thread with the first sandbox that it guards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lookups = ThreadPoolExecutor(_LOOKUP_THREADS, "sandbox-lookup")

    @property
    def lookups(self) -> ThreadPoolExecutor:
        return self._lookups

    def guard(self, guarded: GuardedSandbox) -> Future[None]:
        """Open the sandbox's ports and let its command start. The result is there when the sandbox is left alone:
        after `cancel`, or if its ports could not be opened.
        """
        guarding = self._run(_guard(guarded))
        guarding.add_done_callback(_log_bug)
        return guarding

    def _run(self, work: Coroutine[None, None, None]) -> Future[None]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox-proxy", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """End the thread. No sandbox is guarded any more. Safe to repeat."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
        self._lookups.shutdown(wait=False, cancel_futures=True)


def _log_bug(guarding: Future[None]) -> None:
    if not guarding.cancelled() and (error := guarding.exception()) is not None:
        logger.error("a sandbox's doors closed by a bug", exc_info=error)


async def _guard(guarded: GuardedSandbox) -> None:
    listeners: list[socket.socket] = []
    # A thread of its own: a command that stops its sandbox's first program makes only those wait that dial it.
    dialling = ThreadPoolExecutor(1, "sandbox-dial")
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_end(guarded))
            try:
                async with asyncio.timeout(HANDSHAKE_SECONDS):
                    listeners = await _release(guarded) if guarded.waits else []
            except (OSError, ValueError) as error:
                guarded.failure = "it gave no sign" if isinstance(error, TimeoutError) else str(error)
                logger.warning("a sandbox could not be opened", extra={"error": guarded.failure})
                with contextlib.suppress(OSError):
                    guarded.control.send(b"-" + guarded.failure.encode()[:1000])
                return
            guarded.is_ready.set()
            room = asyncio.Semaphore(CONNECTIONS_AT_ONCE)
            for listener, serve in zip(listeners, _services(guarded, dialling), strict=True):
                tasks.create_task(serve_connections(listener, serve, room, tasks))
            if guarded.bounds.memory_bytes is not None or guarded.bounds.processes is not None:
                tasks.create_task(_watch(guarded))
    finally:
        dialling.shutdown(wait=False, cancel_futures=True)
        guarded.is_ready.set()
        for listener in listeners:
            listener.close()
        guarded.is_over.set()


async def _release(guarded: GuardedSandbox) -> list[socket.socket]:
    """Take the listening sockets, make the network, and tell the first program to go on. Raises OSError."""
    loop = asyncio.get_running_loop()
    guarded.control.setblocking(False)
    await readable(guarded.control.fileno())
    message, sockets, pid = receive_sockets(guarded.control)
    for one in sockets:
        one.setblocking(False)
    wanted = len(guarded.forwarded_ports) + bool(guarded.proxy)
    try:
        if not message:
            raise OSError("it ended before its command started")
        if message != b"+" or len(sockets) != wanted:
            raise OSError(message[1:].decode(errors="replace") or "it sent too few sockets")
        if guarded.outbound is not None:
            making = loop.run_in_executor(None, guarded.outbound, pid)
            try:
                guarded.made_outbound = await asyncio.shield(making)
            except asyncio.CancelledError:
                # The thread goes on; what it makes must still be closed by whoever cancelled.
                with contextlib.suppress(OSError):
                    guarded.made_outbound = await making
                raise
        # From now on the kernel ends the sandbox with its first process outside; before, nothing would.
        if has_event(guarded.pidfd, select.POLLIN):
            raise OSError("it was ended before its command started")
        guarded.control.send(b"+")
        guarded.control.setblocking(True)
    except BaseException:
        for one in sockets:
            one.close()
        raise
    return sockets


def control_pair() -> tuple[socket.socket, socket.socket]:
    """The proxy thread's end and that of a sandbox. The first is told who sends: the kernel notes it at the sending, so
    it has to be asked to before there is a sender.
    """
    control, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return control, child


def receive_sockets(control: socket.socket) -> tuple[bytes, list[socket.socket], int]:
    """Receive a message, the sockets with it, and its sender's process (0: not known).

    Raises OSError, with nothing left open, also if something else than sockets for TCP came: a command may have taken
    the socket of its sandbox's first program.
    """
    room = socket.CMSG_SPACE(_MOST_SOCKETS * 4) + socket.CMSG_SPACE(_CREDENTIALS.size)
    message, ancillary, _, _ = control.recvmsg(4096, room, socket.MSG_CMSG_CLOEXEC)
    numbers, pid = array.array("i"), 0
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
        elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            pid = _CREDENTIALS.unpack(content)[0]
    return message, _as_sockets(numbers), pid


def _as_sockets(numbers: Sequence[int]) -> list[socket.socket]:
    made: list[socket.socket] = []
    try:
        for number in numbers:
            made.append(socket.socket(fileno=number))
            if (made[-1].family, made[-1].type) != (socket.AF_INET, socket.SOCK_STREAM):
                raise OSError("it sent something else than sockets")
    except OSError:
        for one in made:
            one.close()
        for number in numbers[len(made) :]:
            os.close(number)
        raise
    return made


def _services(guarded: GuardedSandbox, dialling: ThreadPoolExecutor) -> list[Callable[[Streams], Awaitable[None]]]:
    proxied_ports = [_proxied_port(forwarded_port, dialling) for forwarded_port in guarded.forwarded_ports]
    services = [way.serve for way in proxied_ports]
    if guarded.proxy is not None:
        proxy = guarded.proxy()
        proxy.proxied_ports = {
            (name, forwarded_port.inner_port or forwarded_port.port): way
            for forwarded_port, way in zip(guarded.forwarded_ports, proxied_ports, strict=True)
            for name in (forwarded_port.host, "localhost", "127.0.0.1")
        }
        services.append(proxy.serve)
    return services


def _proxied_port(forwarded_port: ForwardedPort, dialling: ThreadPoolExecutor) -> ProxiedPort:
    async def connect() -> Streams:
        if forwarded_port.through is not None:
            return await connect_through(forwarded_port.through, forwarded_port.port, dialling)
        return await asyncio.open_connection(forwarded_port.host, forwarded_port.port, limit=LONGEST_HEAD_BYTES)

    async def serve(client: Streams) -> None:
        if forwarded_port.paths:
            await path_filter.serve(client, forwarded_port.paths, connect)
            return
        upstream = await connect()
        try:
            await relay(*client, *upstream)
        finally:
            await close(upstream[1])

    return ProxiedPort(forwarded_port.paths, connect, serve)


async def connect_through(dialer: Dialer, port: int, dialling: ThreadPoolExecutor) -> Streams:
    """Connect to the port of loopback in another sandbox. dialling: its threads ask for the socket.

    If it is cancelled, the socket is closed as soon as it comes. Raises OSError.
    """
    loop = asyncio.get_running_loop()
    dial = dialling.submit(dialer.dial, port)
    try:
        dialled = await asyncio.wrap_future(dial)
    except asyncio.CancelledError:
        dial.add_done_callback(_close_dialled)
        raise
    try:
        dialled.setblocking(False)
        await loop.sock_connect(dialled, (_LOOPBACK, port))
        return await asyncio.open_connection(sock=dialled, limit=LONGEST_HEAD_BYTES)
    except BaseException:
        dialled.close()
        raise


def _close_dialled(dial: Future[socket.socket]) -> None:
    if not dial.cancelled() and dial.exception() is None:
        dial.result().close()


async def _end(guarded: GuardedSandbox) -> None:
    """See to it that the sandbox ends with its first process outside, at whatever moment that is killed."""
    await readable(guarded.pidfd)
    await asyncio.sleep(_LAG_SECONDS)
    while not guarded.has_ended:
        kill_holders(guarded.lifeline)
        await asyncio.sleep(_LAG_SECONDS)


def kill_holders(lifeline: str) -> None:
    """Kill every process that holds the socket of a sandbox. lifeline: how /proc names it.

    bubblewrap ties the sandbox to its first process only after having made it: killed in between, it leaves a process
    that waits for ever.
    """
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(process.name) == os.getpid():
                continue
            if any(os.readlink(held) == lifeline for held in (process / "fd").iterdir()):
                os.kill(int(process.name), signal.SIGKILL)


def has_event(watched: socket.socket | int, events: int) -> bool:
    """Whether poll(2) tells anything of a descriptor now."""
    asked = select.poll()
    asked.register(watched, events)
    return bool(asked.poll(0))


async def _watch(guarded: GuardedSandbox) -> None:
    """Kill the sandbox when it breaks a bound that no control group holds, or whose group killed only a part of it."""
    bounds, group = guarded.bounds, guarded.group
    counts_memory = bounds.memory_bytes is not None and not group.memory
    counts_processes = bounds.processes is not None and not group.processes
    count = functools.partial(tree_use, counts_memory=counts_memory)
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        broken = "memory" if group.memory and group.broken_bound() == "memory" else None
        if broken is None and (counts_memory or counts_processes):
            processes, memory = await loop.run_in_executor(None, count, guarded.pid)
            if counts_memory and bounds.memory_bytes is not None and memory > bounds.memory_bytes:
                broken = "memory"
            elif counts_processes and bounds.processes is not None and processes > bounds.processes:
                broken = "processes"
        if broken is not None:
            guarded.broken_bound = broken
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(guarded.pidfd, signal.SIGKILL)
            return
