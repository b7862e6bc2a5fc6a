"""One health check of a program over HTTP, and why a version is not healthy."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from common.errors import NO_ROOM
from common.values.delivery.app import MACHINE, Health
from workers.supervisor.checkout import CutShort
from workers.supervisor.units.units import Streams

log = logging.getLogger(__name__)

ANSWER_SECONDS = 5.0
MOST_REDIRECTS = 5
MOST_BYTES = 2**20
"""How much of a body is searched."""
HEAD_LINES = 200


class VersionFailed(Exception):
    """Why a version does not serve. code: stable, for programs; reason: a sentence for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def failed_by(error: Exception, code: str, reason: str) -> VersionFailed:
    """The failure that this error caused. Its code is MACHINE if the machine had no room, so no version is to blame."""
    has_no_room = isinstance(error, CutShort) or (isinstance(error, OSError) and error.errno in NO_ROOM)
    return VersionFailed(MACHINE if has_no_room else code, reason)


def failure_of(error: Exception) -> VersionFailed:
    """The failure of a version whose start ended with this error. One that is no VersionFailed is a bug: it is logged.

    Nothing else tells of a bug: callers would wait for the start for ever.
    """
    if isinstance(error, VersionFailed):
        return error
    log.error("the start of a version was ended by a bug", exc_info=error)
    words = f"the local runtime has an error ({type(error).__name__}); its log says more"
    return VersionFailed("not_started", words)


@dataclass(frozen=True)
class Answer:
    """status: the HTTP status; None if none came in time. description: a clause to follow the subject "it"."""

    status: int | None
    description: str
    is_healthy: bool = False


@dataclass(frozen=True)
class _Reply:
    status: int
    location: str
    body: bytes


@dataclass(frozen=True)
class Listener:
    """A program that is to be probed. port: on 127.0.0.1 as it sees it. connect: a new connection; raises OSError."""

    port: int
    connect: Callable[[], Awaitable[Streams]]


async def probe(listener: Listener, expected: Health, timeout_seconds: float = ANSWER_SECONDS) -> Answer:
    """GET the path from the program. The body is read only if a text is expected in it. Raises no network errors."""
    path = expected.path
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _judged(listener, expected)
    except TimeoutError:
        return Answer(None, f"gave no answer to GET {path} within {timeout_seconds:g} s")
    except ConnectionRefusedError:
        return Answer(None, f"did not listen on port {listener.port} (PORT)")
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        return Answer(None, f"gave no valid answer to GET {path} ({error})")


async def _judged(listener: Listener, expected: Health) -> Answer:
    own = f"http://127.0.0.1:{listener.port}"
    path, description = expected.path, f"answered GET {expected.path}"
    for _ in range(MOST_REDIRECTS + 1):
        reply = await _get(listener, path, with_body=expected.contains is not None)
        is_redirect = 300 <= reply.status < 400 and bool(reply.location) and expected.below <= 400
        if not is_redirect:
            break
        target = urlsplit(urljoin(own + path, reply.location))
        if f"{target.scheme}://{target.netloc}" != own:
            return Answer(
                reply.status, f"{description} with {reply.status}, which leads to another host ({target.netloc})"
            )
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        description = f"answered GET {expected.path}, which led to {path[:200]},"
    else:
        return Answer(reply.status, f"answered GET {expected.path} with more than {MOST_REDIRECTS} redirects")
    description = f"{description} with {reply.status}"
    if reply.status >= expected.below:
        return Answer(reply.status, description)
    if expected.contains is not None and expected.contains.encode() not in reply.body:
        return Answer(reply.status, f"{description} and without the text {expected.contains!r}")
    return Answer(reply.status, description, is_healthy=True)


async def _get(listener: Listener, path: str, *, with_body: bool) -> _Reply:
    if not re.fullmatch(r"/[!-~]*", path):
        raise ValueError("it redirects to an invalid path")
    reader, writer = await listener.connect()
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{listener.port}\r\nUser-Agent: aiworker-health\r\n"
        writer.write(f"{request}Accept: */*\r\nConnection: close\r\n\r\n".encode("ascii"))
        await writer.drain()
        line = await reader.readline()
        version, status = line.split(maxsplit=2)[:2] if line.count(b" ") else (line, b"")
        if not version.startswith(b"HTTP/") or not status.isdigit():
            raise ValueError("the answer is not HTTP")
        code = int(status)
        if not with_body and not 300 <= code < 400:
            return _Reply(code, "", b"")
        fields = await _fields(reader)
        body = await _body(reader, fields) if with_body else b""
        return _Reply(code, fields.get("location", ""), body)
    finally:
        writer.transport.abort()


async def _fields(reader: asyncio.StreamReader) -> dict[str, str]:
    found: dict[str, str] = {}
    for _ in range(HEAD_LINES):
        line = (await reader.readline()).decode("latin-1").rstrip("\r\n")
        if not line:
            return found
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), value.strip())
    raise ValueError(f"the head has more than {HEAD_LINES} lines")


async def _body(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    """Read the body, at most about MOST_BYTES."""
    if fields.get("transfer-encoding", "").lower() != "chunked":
        length = fields.get("content-length", "")
        return await _read(reader, min(int(length), MOST_BYTES) if length.isdecimal() else MOST_BYTES)
    body = b""
    while len(body) < MOST_BYTES and (size := int((await reader.readline()).split(b";")[0], 16)):
        body += await _read(reader, min(size, MOST_BYTES))
        await reader.readline()
    return body


async def _read(reader: asyncio.StreamReader, count: int) -> bytes:
    """Read `count` bytes; fewer if the stream ends before."""
    parts = bytearray()
    while len(parts) < count and (part := await reader.read(count - len(parts))):
        parts += part
    return bytes(parts)
