"""A confined command: what is made for it, and how it is removed."""

from __future__ import annotations

import contextlib
import grp
import logging
import os
import pwd
import re
import select
import signal
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from common.machine.certificates import bundle, certificate_variables
from common.machine.programs.bubblewrap import INSIDE_UID, SandboxFinding
from common.machine.waiting import Deadline
from workers.sandbox import bubblewrap_arguments, system_calls
from workers.sandbox.confined_command import Enclosed, Refusal
from workers.sandbox.control_groups import make_group
from workers.sandbox.limits import ForwardedPort, Reach, SandboxLimits
from workers.sandbox.network.egress_proxy import Proxy
from workers.sandbox.network.egress_rules import Rule, rules
from workers.sandbox.network.outbound import Outbound, nameserver, unreachable
from workers.sandbox.network.proxy_environment import PROXY_PORT, proxy_variables
from workers.sandbox.network.proxy_thread import (
    GuardedSandbox,
    ProxyThread,
    control_pair,
    kill_holders,
    receive_sockets,
)
from workers.sandbox.network.registries import REGISTRIES, own_registries
from workers.sandbox.system_folders import etc

logger = logging.getLogger("workers.sandbox")

END_SECONDS = 10.0
"""How long the processes of a killed sandbox may take to end."""
DIAL_SECONDS = 5.0
_LAG_MS = 250
_INSIDE = Path(__file__).with_name("first_process.py")
_FIRST_FREE_PORT = 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Of a variable that every shell passes on."""
_MOST_VARIABLES = 1000
"""Most that bubblewrap is given as arguments, of which it takes 9000."""
_LAST_SIGNAL = 64
_USER = "user"
"""Its name inside if it is root outside, or has none."""


@dataclass(frozen=True)
class Preparation:
    """What all commands of one Sandboxes have in common.

    owner, name: for its control groups. interpreter: the Python that its first program runs with.
    """

    finding: SandboxFinding
    sandbox_proxy: ProxyThread
    owner: str
    name: str
    interpreter: str
    admin_hosts: tuple[str, ...]
    hidden: tuple[Path, ...]


class Confined(Enclosed):
    """A command in a sandbox. OSError if what it needs can't be made, ValueError for contradicting limits."""

    def __init__(
        self,
        argv: Sequence[str],
        cwd: Path,
        environ: Mapping[str, str],
        sandbox_limits: SandboxLimits,
        preparation: Preparation,
        on_refusal: Callable[[Refusal], None] | None,
        needs_dial: bool,
        is_only_killed: bool,
    ) -> None:
        # The processes of a run are found by their HOME: bubblewrap's leads to those that changed theirs.
        own = {"HOME": environ["HOME"]} if "HOME" in environ else {}
        super().__init__(argv, cwd, {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **own})
        self.is_confined = True
        self._preparation = preparation
        self._shares_network = sandbox_limits.reach is Reach.OUTBOUND and not preparation.finding.has_outbound
        self._forwarded_ports = _forwarded_ports(sandbox_limits, shares_network=self._shares_network)
        self._lock = threading.Lock()
        self._spare: list[socket.socket] = []
        self._future: Future[None] | None = None
        self._is_closed = False
        self._given: list[int] = []
        control, child = control_pair()
        self._guarded = GuardedSandbox(control, self._forwarded_ports, bounds=sandbox_limits.bounds)
        try:
            self._guarded.lifeline = f"socket:[{os.fstat(child.fileno()).st_ino}]"
            lifeline = self._give(child.detach())
            self._guarded.group = make_group(preparation.owner, preparation.name, sandbox_limits.bounds)
            allowed = _allowed(sandbox_limits, preparation.admin_hosts)
            proxy_port = _proxy_port(self._forwarded_ports) if allowed else None
            if allowed:
                self._guarded.proxy = lambda: Proxy(
                    allowed, _refusal_callback(on_refusal), preparation.sandbox_proxy.lookups
                )
            if sandbox_limits.reach is Reach.OUTBOUND and not self._shares_network:
                unreachable(sandbox_limits.blocked)
                self._guarded.outbound = lambda pid: Outbound(preparation.finding, pid, sandbox_limits.blocked)
            variables = self._variables(environ, sandbox_limits, proxy_port)
            plan = self._plan(sandbox_limits, variables.get("PATH", ""), lifeline)
            if is_only_killed and not needs_dial and _needs_little(sandbox_limits, allowed, variables):
                self._guarded.waits = False
                made = bubblewrap_arguments.variables(variables)
                plan = replace(plan, more=self._give(_memory_file("arguments", made)), is_only_killed=True)
                inner = bubblewrap_arguments.limited(argv, self._most_processes(sandbox_limits))
            else:
                inner = self._inner(argv, sandbox_limits, proxy_port, needs_dial, lifeline, variables)
            self.argv = tuple(
                bubblewrap_arguments.arguments(self._preparation.finding.bwrap, sandbox_limits, plan, inner)
            )
        except BaseException:
            self.close()
            raise
        self.pass_fds = tuple(self._given)

    def _variables(
        self, environ: Mapping[str, str], sandbox_limits: SandboxLimits, proxy_port: int | None
    ) -> dict[str, str]:
        if proxy_port is None and sandbox_limits.reach is not Reach.OUTBOUND:
            return dict(environ)
        made = {} if proxy_port is None else proxy_variables(proxy_port, _names(sandbox_limits.forwarded_ports))
        return proxy_merged(environ, made | certificate_variables(bundle()))

    def _give(self, descriptor: int) -> int:
        """Pass this descriptor to the sandbox. It is closed here once the sandbox has been started."""
        self._given.append(descriptor)
        return descriptor

    def _inner(
        self,
        argv: Sequence[str],
        sandbox_limits: SandboxLimits,
        proxy_port: int | None,
        needs_dial: bool,
        lifeline: int,
        variables: Mapping[str, str],
    ) -> list[str]:
        """The first program, which opens ports and becomes the command."""
        ports = [forwarded_port.inner_port or forwarded_port.port for forwarded_port in self._forwarded_ports] + (
            [proxy_port] if proxy_port else []
        )
        control = self._give(os.dup(lifeline))
        environ = self._give(_memory_file("environ", _environ_text(variables)))
        return [
            *(self._preparation.interpreter, "-I", "-S", "-B", bubblewrap_arguments.PROGRAM_PLACE),
            *(str(control), str(environ), ",".join(map(str, ports)), str(self._most_processes(sandbox_limits))),
            *(str(sandbox_limits.bounds.file_bytes or 0), str(int(needs_dial and not self._shares_network)), *argv),
        ]

    def _most_processes(self, sandbox_limits: SandboxLimits) -> int:
        """Its limit of processes; 0: none. With a group, or as root, whom it does not hold, it is left alone."""
        return 0 if self._guarded.group.processes or os.geteuid() == 0 else sandbox_limits.bounds.processes or 0

    def _plan(self, sandbox_limits: SandboxLimits, search_path: str, lifeline: int) -> bubblewrap_arguments.Plan:
        code = system_calls.program()
        own = _files(sandbox_limits, shares_network=self._shares_network)
        small, others = etc()
        files: dict[str, int] = {}
        for name in small:
            with contextlib.suppress(OSError):
                files[name] = self._give(os.open(f"/etc/{name}", os.O_RDONLY | os.O_CLOEXEC))
        files |= {name: self._give(_memory_file(name, text.encode())) for name, text in own.items()}
        return bubblewrap_arguments.Plan(
            program=_INSIDE,
            search_path=search_path,
            cwd=self.cwd,
            lifeline=lifeline,
            shares_network=self._shares_network,
            files=files,
            etc=others,
            hidden=self._preparation.hidden,
            groups=self._guarded.group.entrances,
            filter_descriptor=None if code is None else self._give(_memory_file("filter", code)),
        )

    def begin(self, pid: int) -> None:
        with self._lock:
            self._guarded.pid = pid
            self._close_given()
            try:
                self._guarded.pidfd = os.pidfd_open(pid)
            except ProcessLookupError:  # it has ended, and somebody has waited for it
                self._guarded.failure = "it ended before its command started"
                return
            self._future = self._preparation.sandbox_proxy.guard(self._guarded)

    def dial(self, port: int) -> socket.socket:
        if self._shares_network:
            return super().dial(port)
        with self._lock:
            if self._is_closed or self._future is None or not self._guarded.is_ready.is_set():
                raise ConnectionRefusedError("the command does not run")
            if not self._spare:
                self._guarded.control.settimeout(DIAL_SECONDS)
                self._guarded.control.send(b"d")
                self._spare = receive_sockets(self._guarded.control)[1]
            if not self._spare:
                raise ConnectionRefusedError("the command has ended")
            return self._spare.pop()

    def exit_status(self, returncode: int) -> int:
        return 128 - returncode if 128 < returncode <= 128 + _LAST_SIGNAL else returncode

    @property
    def broken_bound(self) -> str | None:
        return self._guarded.broken_bound or self._guarded.group.broken_bound()

    @property
    def failure(self) -> str | None:
        return self._guarded.failure

    def close(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._guarded.broken_bound = self.broken_bound
            self._close_given()
            if self._future is not None:
                self._future.cancel()
                self._guarded.is_over.wait(END_SECONDS)
            self._end_processes()
            if self._guarded.made_outbound is not None:
                self._guarded.made_outbound.close()
            for one in (self._guarded.control, *self._spare):
                one.close()
            self._spare.clear()
            try:
                self._guarded.group.remove()
            except OSError as error:
                logger.warning("a control group could not be removed", extra={"error": str(error)})

    def _end_processes(self) -> None:
        """Kill what still runs, and wait for the end of it."""
        if self._guarded.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._guarded.pidfd, signal.SIGKILL)
            os.close(self._guarded.pidfd)
            self._guarded.pidfd = -1
        if self._guarded.pid:
            watched, deadline = select.poll(), Deadline(END_SECONDS)
            watched.register(self._guarded.control, 0)  # the end of the other side is told in any case
            while not watched.poll(_LAG_MS):
                kill_holders(self._guarded.lifeline)
                if deadline.is_over:
                    logger.warning("processes of a sandbox have not ended", extra={"pid": self._guarded.pid})
                    return

    def _close_given(self) -> None:
        while self._given:
            os.close(self._given.pop())


def _forwarded_ports(sandbox_limits: SandboxLimits, *, shares_network: bool) -> tuple[ForwardedPort, ...]:
    """The forwarded ports that are needed. Where the network is shared, what is at its own port needs none."""
    forwarded_ports = sandbox_limits.forwarded_ports
    if shares_network:
        forwarded_ports = tuple(
            forwarded_port
            for forwarded_port in forwarded_ports
            if forwarded_port.inner_port not in {None, forwarded_port.port}
        )
    ports = [forwarded_port.inner_port or forwarded_port.port for forwarded_port in forwarded_ports]
    if len(set(ports)) < len(ports):
        raise ValueError(f"two doors have one port: {sorted(ports)}")
    if low := [port for port in ports if port < _FIRST_FREE_PORT]:
        raise ValueError(f"a door's port inside is {_FIRST_FREE_PORT} or higher, not {low[0]}")
    return forwarded_ports


def _needs_little(sandbox_limits: SandboxLimits, allowed: Sequence[Rule], variables: Mapping[str, str]) -> bool:
    """Whether bubblewrap itself can do all that the first program does."""
    has_network = sandbox_limits.reach is not Reach.NOTHING or sandbox_limits.forwarded_ports or allowed
    can_name = all(_NAME.fullmatch(name) for name in variables)
    return not has_network and not sandbox_limits.bounds.file_bytes and can_name and len(variables) <= _MOST_VARIABLES


def _proxy_port(forwarded_ports: Sequence[ForwardedPort]) -> int:
    taken = {forwarded_port.inner_port or forwarded_port.port for forwarded_port in forwarded_ports}
    return next(port for port in range(PROXY_PORT, PROXY_PORT + len(taken) + 1) if port not in taken)


def _allowed(sandbox_limits: SandboxLimits, admin_hosts: Sequence[str]) -> list[Rule]:
    allowed = rules(sandbox_limits.trusted_hosts, is_trusted=True)
    if sandbox_limits.reach is Reach.PROXY:
        # The usual registries are not a project's choice either: where they have private addresses, these are mirrors.
        allowed += rules([*REGISTRIES, *own_registries(), *admin_hosts], is_trusted=True)
        allowed += rules(sandbox_limits.hosts, is_trusted=False)
    return allowed if sandbox_limits.reach is not Reach.OUTBOUND else []


def _refusal_callback(on_refusal: Callable[[Refusal], None] | None) -> Callable[[str, int, str], None]:
    def tell(host: str, port: int, why: str) -> None:
        if on_refusal is not None:
            on_refusal(Refusal(host, port, why))

    return tell


def _names(forwarded_ports: Sequence[ForwardedPort]) -> list[str]:
    """The hosts of forwarded ports that are names and not this machine's usual one."""
    return sorted(
        {
            forwarded_port.host
            for forwarded_port in forwarded_ports
            if forwarded_port.host != "localhost" and any(map(str.isalpha, forwarded_port.host))
        }
    )


def _files(sandbox_limits: SandboxLimits, *, shares_network: bool) -> dict[str, str]:
    """The contents of the files below /etc that are the command's own, by their names there."""
    own = "" if shares_network else " ".join(["", *_names(sandbox_limits.forwarded_ports)])
    hosts = f"127.0.0.1 localhost {bubblewrap_arguments.HOSTNAME}{own}\n::1 localhost ip6-localhost ip6-loopback\n"
    resolver = ""
    if shares_network:
        with contextlib.suppress(OSError):
            resolver = Path("/etc/resolv.conf").read_text()
    elif sandbox_limits.reach is Reach.OUTBOUND:
        resolver = f"nameserver {nameserver()}\n"
    uid, gid = (INSIDE_UID, INSIDE_UID) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    user, group = _USER, _USER
    if os.geteuid() != 0:
        with contextlib.suppress(KeyError):
            user = pwd.getpwuid(uid).pw_name
        with contextlib.suppress(KeyError):
            group = grp.getgrgid(gid).gr_name
    passwd = f"root:x:0:0:root:/:/bin/false\n{user}:x:{uid}:{gid}::{sandbox_limits.home}:/bin/sh\n"
    return {
        "hosts": hosts,
        "resolv.conf": resolver,
        "hostname": f"{bubblewrap_arguments.HOSTNAME}\n",
        "passwd": f"{passwd}nobody:x:65534:65534:nobody:/:/bin/false\n",
        "group": f"root:x:0:\n{group}:x:{gid}:\nnogroup:x:65534:\n",
    }


def proxy_merged(environ: Mapping[str, str], made: Mapping[str, str]) -> dict[str, str]:
    """The command's own variables with the proxy's: options are joined, its own certificates stay."""
    merged = dict(environ)
    for name, value in made.items():
        if name in {"MAVEN_OPTS", "GRADLE_OPTS"} and environ.get(name):
            merged[name] = f"{environ[name]} {value}"
        elif "proxy" in name.lower() or name not in environ:
            merged[name] = value
    return merged


def _environ_text(variables: Mapping[str, str]) -> bytes:
    return b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in variables.items())


def _memory_file(name: str, content: bytes) -> int:
    descriptor = os.memfd_create(f"sandbox-{name}", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
