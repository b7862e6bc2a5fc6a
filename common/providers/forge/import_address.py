"""Which addresses a repository may be imported from: the public web's, and those that the operator listed.

An import makes this machine open a connection that somebody else chose. It must not reach what only this machine can:
loopback, private networks, a cloud's metadata service. The address is judged twice: as text, when a request names it
(`check_import_address`, no DNS), and by every address its name has, when it is cloned (`resolve_import_address`). The
second's answer is pinned for the clone, so a name that answers differently a moment later gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from common.errors import Invalid, ProviderRefused, ProviderUnavailable

# Read by this pattern alone, never by a lenient parser: what it takes, git's HTTP library reads the same way.
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!-~]*)?"
)
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LONGEST = 2000
# Azure's host agent answers on this one, which looks public.
_METADATA = frozenset({ipaddress.ip_address("168.63.129.16")})

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class _Parts:
    """literal is None where the host is a name."""

    host: str
    port: int
    literal: _Address | None
    is_allowed: bool


def check_import_address(url: str, allow: tuple[str, ...]) -> None:
    """Raise Invalid("importUrl", …) unless this may be the address of a repository to import. Asks no DNS.

    allow: hosts, or `host:port`, that may be private.
    """
    _parse(url, allow)


def resolve_import_address(url: str, allow: tuple[str, ...]) -> str | None:
    """Ask DNS where the address leads, and return what pins git to that (`host:port:address,…`).

    None means that there is nothing to pin: the host is an address, or one the operator allowed. ProviderRefused
    (`import_failed`) if it has no address, or any that is not public; ProviderUnavailable if DNS doesn't answer.
    """
    try:
        parts = _parse(url, allow)
    except Invalid as error:
        raise ProviderRefused(f"the import address is refused: {error.message}", code="import_failed") from error
    if parts.is_allowed or parts.literal is not None:
        return None
    try:
        found = socket.getaddrinfo(parts.host, parts.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise ProviderUnavailable(f"no DNS server answered for {parts.host}") from error
        raise ProviderRefused(f"{parts.host} has no address ({error.strerror})", code="import_failed") from error
    except UnicodeError as error:
        raise ProviderRefused(f"{parts.host} is not a host's name", code="import_failed") from error
    addresses = sorted({str(entry[4][0]) for entry in found})
    if any(not _is_public(ipaddress.ip_address(address.partition("%")[0])) for address in addresses):
        raise ProviderRefused(
            f"{parts.host} leads to a private address; the operator can allow it in AIWORKER_IMPORT_ALLOW",
            code="import_failed",
        )
    bracketed = (f"[{address}]" if ":" in address else address for address in addresses)
    return f"{parts.host}:{parts.port}:{','.join(bracketed)}"


def _parse(url: str, allow: tuple[str, ...]) -> _Parts:
    match = _ADDRESS.fullmatch(url) if len(url) <= _LONGEST else None
    if match is None:
        authority = url.partition("://")[2].partition("/")[0]
        why = "must hold no user name or password" if "@" in authority else "must be an http:// or https:// address"
        raise Invalid("importUrl", why)
    if re.search(r"[?#\\]", match["path"] or ""):
        raise Invalid("importUrl", "must have no query, fragment or backslash")
    port = int(match["port"] or (443 if match["scheme"] == "https" else 80))
    if not 0 < port < 65536:
        raise Invalid("importUrl", f"{port} is not a port")
    host = match["host"].lower()
    literal = _literal(host)
    is_allowed = host in allow or f"{host}:{port}" in allow
    bare_host = host.rstrip(".")
    is_local_name = bare_host == "localhost" or bare_host.endswith(".localhost")
    if not is_allowed and (is_local_name or (literal is not None and not _is_public(literal))):
        raise Invalid("importUrl", f"{host} is a private address; the operator can allow it in AIWORKER_IMPORT_ALLOW")
    return _Parts(host, port, literal, is_allowed)


def _literal(host: str) -> _Address | None:
    """The address that the host is written as, None for a name. Invalid for the odd spellings of one (`0x7f.1`)."""
    try:
        if host.startswith("["):
            return ipaddress.IPv6Address(host[1:-1])
        # As a URL's reader decides it: a last label that is a number makes the whole an IPv4 address.
        if not _NUMERIC_LABEL.fullmatch(host.rstrip(".").rpartition(".")[2]):
            return None
        return ipaddress.IPv4Address(host)
    except ValueError as error:
        raise Invalid("importUrl", f"{host} is not a plainly written address") from error


def _is_public(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        # `::a.b.c.d`, long out of use, is still taken by some systems for the IPv4 address itself.
        if inner is None and int(address) < 2**32:
            return False
        if inner is not None and not _is_public(inner):
            return False
        if address.ipv4_mapped is not None:
            return True
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and address not in _METADATA
