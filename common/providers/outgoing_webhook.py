"""Sends one message to the outgoing webhook: signed, without redirects, within a bounded time.

The address is chosen by an administrator and called from inside the operator's network, so it must not reach loopback,
private networks or a cloud's metadata service, unless AIWORKER_OUTGOING_ALLOW names it. It is checked as text
when it is set (`check_webhook_address`, no DNS), and by every IP address of its host at each try; the connection goes
to one of the addresses that were checked. The signature is that of https://www.standardwebhooks.com.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import math
import re
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.errors import Invalid
from common.machine.lazy_modules import lazy_module
from common.machine.waiting import Deadline
from common.network.addresses import Address, is_local_name, is_public, literal_address
from common.values.delivery.notice import Dispatch, DispatchAnswer

if TYPE_CHECKING:
    from common.network import trust
else:
    trust = lazy_module("common.network.trust")

LONGEST_URL = 2000
CONNECT_SECONDS = 5.0
WHOLE_SECONDS = 15.0
MOST_READ_BYTES = 2048
SHOWN_CHARACTERS = 500

_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!-~]*)?(?P<query>\?[!-~]*)?"
)


@dataclass(frozen=True)
class _Place:
    """literal: the host's IP address; None if the host is a name. path: with the query."""

    scheme: str
    host: str
    port: int
    path: str
    literal: Address | None
    is_allowed: bool


class _Unsent(Exception):
    """The message could not be sent, or was not answered. The message is for a person."""


def check_webhook_address(url: str, allow: Sequence[str]) -> None:
    """Raise Invalid("url", …) unless messages may be sent to this address. Makes no DNS query.

    allow: hosts or `host:port` that may be private.
    """
    _parse(url, allow)


def send(dispatch: Dispatch, allow: Sequence[str], *, whole_seconds: float = WHOLE_SECONDS) -> DispatchAnswer:
    """POST the message once. Returns how that ended; never raises for what the other side does.

    whole_seconds: for all that follows the look-up of the name. An answer other than 2xx, redirects included, is a
    failure.
    """
    try:
        place = _parse(dispatch.url, allow)
        return _post(place, _addresses_of(place), dispatch, whole_seconds)
    except Invalid as error:
        return DispatchAnswer(None, error=error.message)
    except _Unsent as error:
        return DispatchAnswer(None, error=str(error))


def signed_headers(dispatch: Dispatch) -> dict[str, str]:
    """The headers by which a receiver knows the message's id, age and sender."""
    timestamp = str(math.floor(dispatch.at.timestamp()))
    key = base64.b64decode(dispatch.secret.removeprefix("whsec_"))
    signed = f"{dispatch.delivery_id}.{timestamp}.".encode() + dispatch.body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": dispatch.delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }


def _parse(url: str, allow: Sequence[str]) -> _Place:
    match = _ADDRESS.fullmatch(url) if len(url) <= LONGEST_URL else None
    if match is None or re.search(r"[#\\]", url):
        authority = url.partition("://")[2].partition("/")[0]
        why = "must hold no user name or password" if "@" in authority else "must be an http:// or https:// address"
        raise Invalid("url", why)
    port = int(match["port"] or (443 if match["scheme"] == "https" else 80))
    if not 0 < port < 65536:
        raise Invalid("url", f"{port} is not a valid port")
    host = match["host"].lower()
    try:
        literal = literal_address(host)
    except ValueError as error:
        raise Invalid("url", str(error)) from error
    is_allowed = host in allow or f"{host}:{port}" in allow
    if not is_allowed and (is_local_name(host) or (literal is not None and not is_public(literal))):
        raise Invalid("url", f"{host} is a private address; the operator can allow it in AIWORKER_OUTGOING_ALLOW")
    path = (match["path"] or "/") + (match["query"] or "")
    return _Place(match["scheme"], host, port, path, literal, is_allowed)


def _addresses_of(place: _Place) -> list[str]:
    """The IP addresses to connect to. Raises _Unsent if there is none, or one that may not be called."""
    if place.literal is not None:
        return [str(place.literal)]
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _Unsent(f"{place.host} has no address ({getattr(error, 'strerror', None) or error})") from error
    addresses = list(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found))
    if not place.is_allowed and not all(is_public(ipaddress.ip_address(address)) for address in addresses):
        raise _Unsent(
            f"{place.host} resolves to a private address; the operator can allow it in AIWORKER_OUTGOING_ALLOW"
        )
    return addresses


def _connected(place: _Place, addresses: Sequence[str], seconds: float) -> socket.socket:
    """A connection to the first of the addresses that accepts one: `localhost` is ::1 before it is 127.0.0.1."""
    deadline = Deadline(seconds)
    for left in range(len(addresses), 0, -1):
        try:
            share = max(deadline.left_seconds / left, 0.1)
            return socket.create_connection((addresses[-left], place.port), timeout=share)
        except OSError as error:
            fault = error
    raise _Unsent(f"{place.host}:{place.port} can't be reached ({fault.strerror or fault})") from fault


def _post(place: _Place, addresses: Sequence[str], dispatch: Dispatch, whole_seconds: float) -> DispatchAnswer:
    connected = _connected(place, addresses, min(CONNECT_SECONDS, whole_seconds))
    is_over = threading.Event()

    def cut() -> None:
        # At the descriptor itself: ssl's own shutdown would take the session from the thread that reads.
        is_over.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(channel, socket.SHUT_RDWR)

    connection = _connection_to(place)
    connected.settimeout(whole_seconds)
    channel = connected
    timer = threading.Timer(whole_seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        if place.scheme == "https":
            channel = trust.trusted_context().wrap_socket(connected, server_hostname=place.host.strip("[]"))
        connection.sock = channel
        headers = {"Content-Type": "application/json", "User-Agent": "AiWorker", "Connection": "close"}
        connection.request("POST", place.path, dispatch.body, headers | signed_headers(dispatch))
        return _read(connection.getresponse())
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Both limits are the same time, so either may come first.
        if is_over.is_set() or isinstance(error, TimeoutError):
            raise _Unsent(f"{place.host} did not answer within {whole_seconds:g} s") from error
        raise _Unsent(f"{place.host} did not answer ({type(error).__name__}: {str(error)[:200]})") from error
    finally:
        timer.cancel()
        connection.close()
        channel.close()
        connected.close()


def _connection_to(place: _Place) -> http.client.HTTPConnection:
    """One without a socket yet. Its requests name the port of the host unless it is the scheme's."""
    # It puts an IPv6 address in brackets by itself.
    connection = http.client.HTTPConnection(place.host.strip("[]"), place.port)
    connection.default_port = 443 if place.scheme == "https" else 80
    return connection


def _read(response: http.client.HTTPResponse) -> DispatchAnswer:
    try:
        said = response.read(MOST_READ_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException, ValueError):
        # It hangs or ends too early. The status is there, and says whether the receiver took the message.
        said = ""
    shown = "".join(letter if letter.isprintable() else " " for letter in said).strip()[:SHOWN_CHARACTERS]
    if 200 <= response.status < 300:
        return DispatchAnswer(response.status, shown)
    if 300 <= response.status < 400:
        why = f"it redirects ({response.status}), which is not followed; set the url to the address that it names"
        return DispatchAnswer(response.status, shown, why)
    after = response.getheader("Retry-After", "")
    pause = float(after) if after.isascii() and after.isdigit() and len(after) < 7 else None
    return DispatchAnswer(response.status, shown, f"it answered {response.status}", pause)
