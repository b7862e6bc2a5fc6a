"""Resolves host names on this machine. It opens no connections to the hosts; a lookup may take seconds."""

from __future__ import annotations

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def addresses_of(host: str) -> list[Address]:
    """The addresses of a host name or IP address; empty if it can't be resolved here."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found}, key=str)


def is_own_address(host: str) -> bool:
    """Whether a host is this machine or pod itself (loopback or unspecified), so that others can't reach it by it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    addresses = addresses_of(host)
    return bool(addresses) and all(address.is_loopback or address.is_unspecified for address in addresses)
