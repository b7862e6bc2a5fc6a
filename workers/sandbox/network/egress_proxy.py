"""The proxy of confined commands: CONNECT and plain HTTP, to the hosts that the rules allow.

It resolves names itself and connects to the very addresses that it checked, so that a name can't change in between.
Where this machine reaches the world through a proxy of its own (HTTPS_PROXY), it asks that one, which then resolves.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from common.network.addresses import Address
from common.network.proxy_for_address import proxy_of
from workers.sandbox.network import path_filter
from workers.sandbox.network.egress_rules import Rule, is_public, split_host
from workers.sandbox.network.http_exchanges import Streams, answer_text, exchange, unread
from workers.sandbox.network.http_messages import LONGEST_HEAD_BYTES, BadMessage, Head, read_head
from workers.sandbox.network.relays import close, relay

CONNECT_SECONDS = 20.0
LOOKUP_SECONDS = 10.0
SETTING = "AIWORKER_EGRESS_HOSTS"
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_LOOKUPS_AT_ONCE = 4
"""Of one sandbox."""


class Refused(Exception):
    """The rules forbid it. The text says why, to the command and to people."""


@dataclass(frozen=True)
class ProxiedPort:
    """A forwarded port, for programs that ask the proxy for it: some take no notice of NO_PROXY.

    paths: see ForwardedPort. connect: to what is behind it. serve: a connection to it.
    """

    paths: tuple[str, ...]
    connect: Callable[[], Awaitable[Streams]]
    serve: Callable[[Streams], Awaitable[None]]


class Proxy:
    """The proxy of one sandbox. on_refusal: called with host, port and reason, once for each host.

    proxied_ports: the sandbox's forwarded ports, by host and port. Set before the first connection.
    """

    def __init__(
        self, allowed: list[Rule], on_refusal: Callable[[str, int, str], None], lookups: ThreadPoolExecutor
    ) -> None:
        self.proxied_ports: Mapping[tuple[str, int], ProxiedPort] = {}
        self._allowed = allowed
        self._on_refusal = on_refusal
        self._lookups = lookups
        self._lookups_left = asyncio.Semaphore(_LOOKUPS_AT_ONCE)
        self._refused: set[str] = set()

    async def serve(self, client: Streams) -> None:
        """Serve one connection until it ends. OSError if it breaks."""
        reader, writer = client
        while True:
            try:
                request = await read_head(reader, is_request=True)
                if request is None:
                    return
                request.body()
                if request.first[0] == b"CONNECT":
                    await self._tunnel(client, request)
                    return
                if not await self._forward(client, request):
                    return
            except BadMessage as error:
                await answer_text(writer, "400 Bad Request", f"This request can't be passed on: {error}.")
                return
            except Refused as error:
                await answer_text(writer, "403 Forbidden", str(error))
                await unread(reader, most_bytes=2**20, seconds=2)
                return

    async def _tunnel(self, client: Streams, request: Head) -> None:
        reader, writer = client
        target = request.first[1].decode("ascii")
        place = split_host(target, None)
        if place is None or place[1] is None:
            raise BadMessage("its target is not host:port")
        host, port = place[0], place[1]
        if way := self.proxied_ports.get((host, port)):
            writer.write(_ESTABLISHED)
            await way.serve(client)
            return
        try:
            upstream = await self._connect(host, port, "https")
        except OSError as error:
            await answer_text(writer, "502 Bad Gateway", f"{host}:{port} can't be reached: {_why(error)}")
            return
        try:
            writer.write(_ESTABLISHED)
            await relay(reader, writer, *upstream)
        finally:
            await close(upstream[1])

    async def _forward(self, client: Streams, request: Head) -> bool:
        try:
            url = urlsplit(request.first[1].decode("ascii"))
        except ValueError as error:
            raise BadMessage("its target is not a URL") from error
        place = split_host(url.netloc, 80)
        if url.scheme != "http" or place is None or place[1] is None:
            raise BadMessage("its target is not an http URL; https goes through CONNECT")
        host, port = place[0], place[1]
        chained = _machine_proxy("http", host)
        origin_form = (url.path or "/").encode() + (f"?{url.query}".encode() if url.query else b"")
        target = request.first[1] if chained else origin_form
        more = [("proxy-authorization", chained.authorization)] if chained and chained.authorization else []
        # What the request says about its host must not differ from what was checked.
        plain = Head(
            request.first, (*(one for one in request.fields if one[0] != "host"), ("host", url.netloc.encode()))
        )
        try:
            if way := self.proxied_ports.get((host, port)):
                return await path_filter.pass_on(client, plain, origin_form, way.paths, way.connect)
            return await exchange(client, plain, target, lambda: self._connect(host, port, "http"), *more)
        except OSError as error:
            await answer_text(client[1], "502 Bad Gateway", f"{host}:{port} can't be reached: {_why(error)}")
            return False

    async def _connect(self, host: str, port: int, scheme: str) -> Streams:
        """Connect to a host by the rules. Raises Refused and OSError."""
        matching = [rule for rule in self._allowed if rule.matches(host, port)]
        if not matching:
            raise self._refusal(host, port, "it is not on the list of hosts that this project may reach")
        is_trusted = any(rule.is_trusted for rule in matching)
        if chained := _machine_proxy(scheme, host):
            literal = _literal(host)
            if literal is not None and not is_trusted and not is_public(literal):
                raise self._refusal(host, port, "its address is not a public one")
            return await chained.connect(host, port, has_tunnel=scheme == "https")
        addresses = await self._addresses(host)
        reachable = [one for one in addresses if is_trusted or is_public(one)]
        if addresses and not reachable:
            raise self._refusal(host, port, f"its address {addresses[0]} is not a public one")
        return await _open(reachable, host, port)

    async def _addresses(self, host: str) -> list[Address]:
        literal = _literal(host)
        if literal is not None:
            return [literal]
        loop = asyncio.get_running_loop()
        async with self._lookups_left, asyncio.timeout(LOOKUP_SECONDS):
            found = await loop.run_in_executor(self._lookups, _looked_up, host)
        return [ipaddress.ip_address(one) for one in dict.fromkeys(found)]

    def _refusal(self, host: str, port: int, why: str) -> Refused:
        if host not in self._refused and len(self._refused) < 1000:
            self._refused.add(host)
            self._on_refusal(host, port, why)
        return Refused(
            f"{host}:{port} can't be reached from here: {why}. The project's egressHosts or the platform's "
            f"{SETTING} can allow it."
        )


def _looked_up(host: str) -> list[str]:
    return [str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    # 127.1, 2130706433 and 0x7f.1 are addresses to the resolver.
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


async def _open(addresses: list[Address], host: str, port: int) -> Streams:
    last: OSError = OSError(f"{host} has no address")
    for address in addresses[:4]:
        try:
            async with asyncio.timeout(CONNECT_SECONDS / min(len(addresses), 4)):
                return await asyncio.open_connection(str(address), port, limit=LONGEST_HEAD_BYTES)
        except OSError as error:  # a timeout is one
            last = error
    raise last


class _MachineProxy:
    """A proxy that this machine's environment names."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.is_secure = parts.scheme == "https"
        self.port = parts.port or (443 if self.is_secure else 80)
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        self.authorization = b"Basic " + base64.b64encode(login.encode()) if login else b""

    async def connect(self, host: str, port: int, *, has_tunnel: bool) -> Streams:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                self.host, self.port, ssl=True if self.is_secure else None, limit=LONGEST_HEAD_BYTES
            )
            try:
                if has_tunnel:
                    await self._ask(reader, writer, host, port)
            except BaseException:
                with contextlib.suppress(OSError):
                    await close(writer)
                raise
            return reader, writer

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        login = b"Proxy-Authorization: " + self.authorization + b"\r\n" if self.authorization else b""
        writer.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n".encode() + login + b"\r\n")
        try:
            answer = await read_head(reader, is_request=False)
        except BadMessage as error:
            raise OSError(f"this machine's proxy does not speak HTTP: {error}") from error
        if answer is None or not answer.first[1].startswith(b"2"):
            status = answer.first[1].decode() if answer else "nothing"
            raise OSError(f"this machine's proxy answers {status}")


def _machine_proxy(scheme: str, host: str) -> _MachineProxy | None:
    url = proxy_of(scheme, host)
    return None if url is None or url.startswith("socks") else _MachineProxy(url)


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return error.strerror or str(error)
