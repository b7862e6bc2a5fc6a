"""Resolves host names on this machine, and tells public addresses from private ones.

It opens no connections to the hosts; a lookup may take seconds.
"""

from __future__ import annotations

import ipaddress
import re
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Translated to whatever IPv4 address the local network likes (RFC 8215, RFC 2765), and segment routing's (RFC 9602).
# The tables of Python 3.11 call them global.
_LOCAL = tuple(map(ipaddress.ip_network, ("64:ff9b:1::/48", "::ffff:0:0:0/96", "5f00::/16")))
# Azure's host agent answers on this address, which looks public.
_METADATA = frozenset({ipaddress.ip_address("168.63.129.16")})


def addresses_of(host: str) -> list[Address]:
    """The addresses of a host name or IP address; empty if it can't be resolved here."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found}, key=str)


def is_own_address(host: str) -> bool:
    """Whether a host is this machine or pod itself (loopback or unspecified), so that others can't reach it by it."""
    if is_local_name(host):
        return True
    addresses = addresses_of(host)
    return bool(addresses) and all(address.is_loopback or address.is_unspecified for address in addresses)


def is_local_name(host: str) -> bool:
    """Whether this name always means the machine itself, in lower case."""
    name = host.rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def literal_address(host: str) -> Address | None:
    """The host's IP address; None for a name. ValueError for unusual notations such as `0x7f.1`."""
    try:
        if host.startswith("["):
            return ipaddress.IPv6Address(host[1:-1])
        # The rule of URL parsers (WHATWG): a host whose last label is a number is an IPv4 address.
        if not _NUMERIC_LABEL.fullmatch(host.rstrip(".").rpartition(".")[2]):
            return None
        return ipaddress.IPv4Address(host)
    except ValueError as error:
        raise ValueError(f"{host} is not an IP address in the usual notation") from error


def is_public(address: Address) -> bool:
    """Whether an address is of the public internet: not this machine, a private network or a metadata service."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        # Some systems still treat the deprecated form `::a.b.c.d` as the IPv4 address itself.
        if inner is None and int(address) < 2**32:
            return False
        if inner is not None and not is_public(inner):
            return False
        if address.ipv4_mapped is not None:
            return True
        if address.is_site_local or any(address in network for network in _LOCAL):
            return False
    return address.is_global and not address.is_multicast and address not in _METADATA
