"""Which addresses a repository may be imported from: public ones, and those that the operator allowed.

An import makes this machine open a connection to an address that a user chose (SSRF). It must not reach loopback,
private networks or a cloud's metadata service. The address is checked twice: as text when a request contains it
(`check_import_address`, no DNS), and by every IP address of its host name when it is cloned
(`resolve_import_address`). The resolved addresses are pinned for the clone, so a later DNS change has no effect. Where
the environment names a proxy, that connects, and decides what a name leads to.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from common.errors import Invalid, ProviderRefused, ProviderUnavailable
from common.network.addresses import Address, is_local_name, is_public, literal_address
from common.network.proxy_for_address import proxy_of

# Parsed with this strict pattern, not with a lenient parser: git's HTTP library must read every match the same way.
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!-~]*)?"
)
_LONGEST = 2000


@dataclass(frozen=True)
class _Parts:
    """literal: the host's IP address; None if the host is a name."""

    host: str
    port: int
    literal: Address | None
    is_allowed: bool


def check_import_address(url: str, allow: tuple[str, ...]) -> None:
    """Raise Invalid("importUrl", …) unless a repository may be imported from this address. Makes no DNS query.

    allow: hosts or `host:port` that may be private.
    """
    _parse(url, allow)


def import_proxy(url: str, allow: tuple[str, ...]) -> str | None:
    """The URL of the proxy to clone the address through; None: it is reached directly, as what the operator allowed."""
    try:
        parts = _parse(url, allow)
    except Invalid:
        return None
    return None if parts.is_allowed else proxy_of(urlsplit(url).scheme, f"{parts.host}:{parts.port}")


def resolve_import_address(url: str, allow: tuple[str, ...], *, is_proxied: bool = False) -> str | None:
    """Resolve the host by DNS and return the pin for git's `http.curloptResolve` (`host:port:address,…`).

    None: there is nothing to pin, because the host is an IP address, the operator allowed it, or a proxy connects to
    it (is_proxied), which may know names that this machine does not. Raises ProviderRefused (`import_failed`) if the
    host has no address or one that is not public; ProviderUnavailable if DNS does not answer.
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
        if is_proxied:
            return None
        if error.errno == socket.EAI_AGAIN:
            raise ProviderUnavailable(f"no DNS server answered for {parts.host}") from error
        raise ProviderRefused(f"{parts.host} has no address ({error.strerror})", code="import_failed") from error
    except UnicodeError as error:
        raise ProviderRefused(f"{parts.host} is not a valid host name", code="import_failed") from error
    addresses = sorted({str(entry[4][0]) for entry in found})
    if any(not is_public(ipaddress.ip_address(address.partition("%")[0])) for address in addresses):
        raise ProviderRefused(
            f"{parts.host} resolves to a private address; the operator can allow it in AIWORKER_IMPORT_ALLOW",
            code="import_failed",
        )
    if is_proxied:
        return None
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
        raise Invalid("importUrl", f"{port} is not a valid port")
    host = match["host"].lower()
    try:
        literal = literal_address(host)
    except ValueError as error:
        raise Invalid("importUrl", str(error)) from error
    is_allowed = host in allow or f"{host}:{port}" in allow
    if not is_allowed and (is_local_name(host) or (literal is not None and not is_public(literal))):
        raise Invalid("importUrl", f"{host} is a private address; the operator can allow it in AIWORKER_IMPORT_ALLOW")
    return _Parts(host, port, literal, is_allowed)
