"""One look at whether a program answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class Answer:
    """status: the HTTP status, None where it gave none in time. said: the end of a sentence that begins with "it"."""

    status: int | None
    said: str

    @property
    def is_healthy(self) -> bool:
        return self.status is not None and self.status < 500


async def probe(port: int, path: str, timeout_seconds: float = ANSWER_SECONDS) -> Answer:
    """GET the path from 127.0.0.1:port and read no more than the status line. Never raises for what it meets."""
    try:
        async with asyncio.timeout(timeout_seconds):
            status = await _status(port, path)
    except TimeoutError:
        return Answer(None, f"gave no answer to GET {path} within {timeout_seconds:g} s")
    except ConnectionRefusedError:
        return Answer(None, f"did not listen on port {port} (PORT)")
    except (OSError, ValueError) as error:
        return Answer(None, f"broke off at GET {path} ({error})")
    return Answer(status, f"answered GET {path} with {status}")


async def _status(port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: aiworker-health\r\n"
        writer.write(f"{request}Accept: */*\r\nConnection: close\r\n\r\n".encode("ascii"))
        await writer.drain()
        line = await reader.readline()
        version, status = line.split(maxsplit=2)[:2] if line.count(b" ") else (line, b"")
        if not version.startswith(b"HTTP/") or not status.isdigit():
            raise ValueError("what came back is not HTTP")
        return int(status)
    finally:
        writer.transport.abort()
