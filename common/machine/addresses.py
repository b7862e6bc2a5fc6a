"""What a host's name means on this machine. Only names are looked up, nothing is connected; that may take seconds."""

from __future__ import annotations

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def addresses_of(host: str) -> list[Address]:
    """What a name means here, or the address that it is; empty where it means nothing here."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found}, key=str)


def is_own_address(host: str) -> bool:
    """Whether a host means the very machine, or pod, that asks: what one calls so, another can't reach."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    addresses = addresses_of(host)
    return bool(addresses) and all(address.is_loopback or address.is_unspecified for address in addresses)
