"""What a confined command may see and use. Values only: nothing here starts anything."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Reach(StrEnum):
    """The network of a confined command."""

    NOTHING = "nothing"
    """Its own loopback, and its forwarded ports."""
    PROXY = "proxy"
    """Its own loopback, its forwarded ports, and through a proxy the hosts of an allow-list."""
    OUTBOUND = "outbound"
    """Every address but this machine's loopback, metadata services and `SandboxLimits.blocked`.

    And its forwarded ports.
    """


class Dialer(Protocol):
    """A started command whose ports others use, such as an `Enclosed` with needs_dial."""

    def dial(self, port: int) -> socket.socket:
        """A socket that is not connected yet, in the command's network. Blocks for seconds at most. Raises OSError."""


@dataclass(frozen=True)
class ForwardedPort:
    """A port of the confined command's own loopback that leads out. host, port: where to, as this machine sees it.

    inner_port: the port inside; it is the same as outside, so that addresses stay true, unless given. paths: only HTTP
    requests whose path begins with one of these are passed on; empty: any bytes are. A port inside is 1024 or higher.
    A host that is a name leads to the port inside (/etc/hosts); to an address that is not of loopback there is none,
    but `SandboxLimits.trusted_hosts`. through: it leads to this port of loopback in the network of another
    command; None: to this machine's network.
    """

    host: str
    port: int
    inner_port: int | None = None
    paths: tuple[str, ...] = ()
    through: Dialer | None = None


@dataclass(frozen=True)
class Bounds:
    """None: no bound. memory_bytes, processes: of the whole tree, by a control group where that may be made, else by
    resource limits of each process. file_bytes: of one file.
    """

    memory_bytes: int | None = None
    processes: int | None = 1024
    file_bytes: int | None = None


@dataclass(frozen=True)
class SandboxLimits:
    """What the command sees beside the system's folders, always at the same path as outside; links are followed by the
    command as it sees them.

    home: its HOME, writable. scratch: its /tmp, writable; None: an empty one in memory. writable, readable: files and
    folders; one that is missing is left out. hidden: files and folders in the others of which the command sees only an
    empty one that it can't change; one that is missing is left out. reach, hosts: its network, and further hosts for
    the proxy. forwarded_ports: ports that lead out. blocked: addresses and networks that OUTBOUND may not reach, beside
    those that it never may. trusted_hosts: hosts, as `host` or `host:port`, that the platform itself names, such as a
    forge: the proxy reaches them also at private addresses, and also with Reach.NOTHING.
    """

    home: Path
    scratch: Path | None = None
    writable: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    reach: Reach = Reach.NOTHING
    hosts: tuple[str, ...] = ()
    forwarded_ports: tuple[ForwardedPort, ...] = ()
    blocked: tuple[str, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    trusted_hosts: tuple[str, ...] = ()
