"""Decides which hosts, ports and addresses a confined command may reach through the proxy."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from common.network.addresses import Address

USUAL_PORTS = (80, 443)
_HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
NEVER = tuple(
    ipaddress.ip_network(one)
    for one in (
        "168.63.129.16/32",  # the platform's own services in Azure: public, but only for this machine
        "169.254.0.0/16",  # metadata services of most clouds
        "100.100.100.200/32",  # Alibaba's
        "192.0.0.192/32",  # Oracle's
        "fd00:ec2::/32",  # Amazon's
        "fd20:ce::254/128",  # Google's
    )
)
"""What tells secrets of a machine to whatever runs on it, or acts for the machine."""
_OWN_SECONDS = 30.0


@dataclass(frozen=True)
class Rule:
    """host: a name, `*.` and the end of names, or an address. port: None: USUAL_PORTS. is_trusted: an administrator
    named it, so that its addresses may be private."""

    host: str
    port: int | None
    is_trusted: bool

    def matches(self, host: str, port: int) -> bool:
        if port not in (USUAL_PORTS if self.port is None else (self.port,)):
            return False
        return host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host


def rules(hosts: Iterable[str], *, is_trusted: bool) -> list[Rule]:
    """Read hosts as people write them: `host`, `host:port`, `*.host`, `[address]:port`. Others match nothing."""
    found = []
    for text in hosts:
        parts = split_host(text.strip(), None)
        if parts is not None:
            found.append(Rule(parts[0], parts[1], is_trusted))
    return found


def split_host(text: str, port: int | None) -> tuple[str, int | None] | None:
    """The host, in lower case without a final dot, and the port (else `port`); None if the text is something else."""
    bracketed = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::([0-9]{1,5}))?", text)
    if bracketed:
        host, number = bracketed[1].lower(), bracketed[2]
    else:
        host, colon, number = text.lower().partition(":")
        if bool(colon) and not re.fullmatch(r"[0-9]{1,5}", number):
            return None
        host = host.removesuffix(".")
        if not _HOST.fullmatch(host) or ".." in host:
            return None
    if number and not 0 < int(number) < 2**16:
        return None
    return host, int(number) if number else port


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, and not one of this machine's."""
    inner: Address | None = None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            return False
        inner = address.ipv4_mapped or address.sixtofour
        if address.teredo:
            return False
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return is_public(inner)
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return address not in own_addresses() and not any(
        address in network for network in NEVER if network.version == address.version
    )


_own: tuple[float, frozenset[Address]] = (0.0, frozenset())


def own_addresses() -> frozenset[Address]:
    """The addresses of this machine's interfaces."""
    global _own
    if time.monotonic() > _own[0]:
        found = set()
        for interface in psutil.net_if_addrs().values():
            for one in interface:
                try:
                    found.add(ipaddress.ip_address(one.address.partition("%")[0]))
                except ValueError:  # a hardware address
                    continue
        _own = (time.monotonic() + _OWN_SECONDS, frozenset(found))
    return _own[1]
