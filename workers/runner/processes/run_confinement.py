"""What confines the commands of one run. Every command below the runner is started in a `CommandSandbox`: see
processes.py.

A command of a coding CLI, of the setup or of the scripted driver sees the run's clone, home and temporary files, and
what it needs of this machine's programs. Git in the clone sees less and has no network: the clone's own configuration
may make it run commands. Git with the run's credential works in `origin.git` alone, which no confined command sees,
and is not confined.
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from common.values.egress import Egress, Network
from workers.sandbox.limits import Bounds, Dialer, ForwardedPort, Reach, SandboxLimits
from workers.sandbox.sandboxes import Enclosed, Refusal, Sandboxes, SandboxMode
from workers.sandbox.system_folders import own_programs

PLATFORM_PATHS = ("/gateway/", "/git/")
"""What commands may call of the platform."""
MOST_REFUSALS = 50
"""Most hosts of one run that its log names."""
_FIRST_HIGH_PORT, _LOW_PORTS_FROM = 1024, 20_000
_PORTS = {"http": 80, "https": 443}
_NETWORK_WORDS = {
    Egress.REGISTRIES: "of the network they reach package registries, and the hosts of the project's list.",
    Egress.NONE: "they have no network.",
    Egress.OPEN: "their network is open, but for this machine and the platform.",
}
_REACH = {Egress.REGISTRIES: Reach.PROXY, Egress.NONE: Reach.NOTHING, Egress.OPEN: Reach.OUTBOUND}


@dataclass(frozen=True)
class CommandSandbox:
    """What a command is started in. on_refusal: see Sandboxes.enclose. on_dialer: takes what connects to the ports of
    the command, before it is started; None: nobody will use them. is_only_killed: see Sandboxes.enclose.
    """

    sandboxes: Sandboxes
    sandbox_limits: SandboxLimits
    on_refusal: Callable[[Refusal], None] | None = None
    on_dialer: Callable[[Dialer], None] | None = None
    is_only_killed: bool = False

    def enclose(self, argv: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> Enclosed:
        """Prepare a command. Raises OSError."""
        enclosed = self.sandboxes.enclose(
            argv, cwd=cwd, environ=environ, sandbox_limits=self.sandbox_limits, on_refusal=self.on_refusal,
            needs_dial=self.on_dialer is not None, is_only_killed=self.is_only_killed,
        )  # fmt: skip
        if self.on_dialer is not None:
            self.on_dialer(enclosed)
        return enclosed


@dataclass(frozen=True)
class Confinement:
    """How the commands of one run are confined.

    network: what the run's project may reach. platform: its URL. addresses: URLs that the run's programs call, with
    all below them: the gateway's, and the run's repository. databases: ports to the run's.
    """

    sandboxes: Sandboxes
    network: Network = field(default_factory=Network)
    platform: str = ""
    addresses: tuple[str, ...] = ()
    databases: tuple[ForwardedPort, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    blocked: tuple[str, ...] = ()
    on_refusal: Callable[[Refusal], None] | None = None

    def for_programs(self, sandbox_limits: SandboxLimits) -> CommandSandbox:
        """The sandbox of a program that works in the clone: with the project's network, and AiWorker's own programs."""
        nearby, hosts = self._platform()
        sandbox_limits = SandboxLimits(
            home=sandbox_limits.home,
            scratch=sandbox_limits.scratch,
            writable=sandbox_limits.writable,
            readable=(*sandbox_limits.readable, *own_programs()),
            hidden=sandbox_limits.hidden,
            reach=self.reach,
            hosts=self.network.hosts,
            trusted_hosts=tuple(hosts),
            forwarded_ports=(*nearby, *self.databases),
            blocked=self.blocked,
            bounds=self.bounds,
        )
        return CommandSandbox(self.sandboxes, sandbox_limits, self.on_refusal)

    @property
    def reach(self) -> Reach:
        """What programs in the clone reach."""
        return _REACH[self.network.egress]

    def for_git(self, sandbox_limits: SandboxLimits) -> CommandSandbox:
        """The sandbox of git in the clone: without a network. It is not stopped but killed."""
        return CommandSandbox(self.sandboxes, sandbox_limits, is_only_killed=True)

    @property
    def words(self) -> str:
        """A sentence for people: whether commands are confined, and what they may reach."""
        if not self.sandboxes.is_confining:
            return f"The run's programs can do what the agent's user can do: {describe_sandbox(self.sandboxes)}"
        return f"The run's programs are confined; {_NETWORK_WORDS[self.network.egress]}"

    def _platform(self) -> tuple[list[ForwardedPort], list[str]]:
        """Ports to the platform and the forge where they are on this machine's loopback; else their hosts, for the
        proxy.
        """
        paths: dict[int, tuple[str, dict[str, None]]] = {}
        hosts: dict[str, None] = {}
        called = [(urlsplit(url), (urlsplit(url).path.rstrip("/") + "/",)) for url in self.addresses]
        for address, allowed in [(urlsplit(self.platform), PLATFORM_PATHS), *called]:
            host, port = address.hostname or "", address.port or _PORTS.get(address.scheme, 0)
            if _is_loopback(host) and port:
                # Of https nothing can be told apart.
                known = paths.setdefault(port, (host, {}))[1]
                known |= dict.fromkeys(allowed if address.scheme == "http" else ())
            elif host and port:
                hosts[f"{host}:{port}"] = None
        return [ForwardedPort(host, port, _inner(port), tuple(known)) for port, (host, known) in paths.items()], list(
            hosts
        )

    def as_seen(self, url: str) -> str:
        """An address of the platform, as a confined program has to call it."""
        address = urlsplit(url)
        port = address.port or _PORTS.get(address.scheme, 0)
        inner = _inner(port)
        if inner is None or not self.sandboxes.is_confining or not _is_loopback(address.hostname or ""):
            return url
        return address._replace(netloc=f"{address.hostname}:{inner}").geturl()


def _inner(port: int) -> int | None:
    """The port inside that leads to this one; None: the same. Low ports can't be opened inside."""
    return _LOW_PORTS_FROM + port if port < _FIRST_HIGH_PORT else None


def describe_sandbox(sandboxes: Sandboxes) -> str:
    """Whether this machine confines commands, for people; with the remedy if it does not."""
    if sandboxes.mode is SandboxMode.OFF:
        return "commands are not confined: AIWORKER_SANDBOX=off"
    return sandboxes.finding.says


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


class RefusalLog:
    """Tells each host that a run may not reach once, and MOST_REFUSALS of them. For several threads."""

    def __init__(self, add_text: Callable[[str], None]) -> None:
        self._add_text = add_text
        self._lock = threading.Lock()
        self._named_hosts: set[str] = set()

    def __call__(self, refusal: Refusal) -> None:
        with self._lock:
            count = len(self._named_hosts)
            if refusal.host in self._named_hosts or count > MOST_REFUSALS:
                return
            self._named_hosts.add(refusal.host)
        if count == MOST_REFUSALS:
            self._add_text("Further hosts that are not reachable are not named.")
        else:
            self._add_text(f"{refusal.host} is not reachable: {refusal.why}")


def private_folders(work_dir: Path, *files: Path | None) -> tuple[Path, ...]:
    """Folders that no command may see, wherever they lie: the agent's, those of its tokens, and the platform's data."""
    data = [parent for parent in work_dir.parents if (parent / "secret_key").exists()]
    return tuple(dict.fromkeys([work_dir, *data, *(file.parent for file in files if file is not None)]))
