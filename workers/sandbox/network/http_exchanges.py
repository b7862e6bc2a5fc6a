"""Passes one HTTP request on and its answer back, both as streams.

What forwarded ports and the proxy have in common.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from workers.sandbox.network.http_messages import BadMessage, Body, Head, head_text, pass_body, read_head
from workers.sandbox.network.relays import close, one_way

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_BODILESS = (b"204", b"304")


def keeps_alive(request: Head) -> bool:
    """Whether the client sends a further request on this connection."""
    ends = request.has_token("connection", b"close") or request.has_token("proxy-connection", b"close")
    return request.first[2] == b"HTTP/1.1" and not ends


def has_body(request: Head) -> bool:
    return bool(request.values("transfer-encoding") or request.values("content-length"))


async def answer_text(writer: asyncio.StreamWriter, status: str, text: str, *, is_last: bool = True) -> None:
    """Answer a request ourselves. is_last: the connection is closed after it."""
    content = f"{text}\n".encode()
    ends = "close" if is_last else "keep-alive"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(content)}\r\n"
    writer.write(f"{head}Connection: {ends}\r\n\r\n".encode() + content)
    await writer.drain()


async def exchange(
    client: Streams, request: Head, target: bytes, connect: Callable[[], Awaitable[Streams]], *more: tuple[str, bytes]
) -> bool:
    """Send a request, whose head was read from the client, to where `connect` leads, for another target.

    more: fields to add. Returns whether the client's connection can be used for a further request. Raises BadMessage
    if the request is malformed and nothing was answered yet, else OSError; OSError from `connect`, too.
    """
    body = request.body()
    upstream = await connect()
    try:
        # A connection for each request: one that was kept could be closed by the other side at any moment.
        fields = request.forwarded(("connection", b"close"), *more)
        upstream[1].write(head_text((request.first[0], target, request.first[2]), fields))
        return await _pass_both(client, request, upstream, body)
    finally:
        await close(upstream[1])


async def _pass_both(client: Streams, request: Head, upstream: Streams, body: Body) -> bool:
    """Pass the request's body and the answer on. As `exchange`."""
    reader, writer = client
    sending = asyncio.ensure_future(pass_body(reader, upstream[1], body))
    answering = asyncio.ensure_future(_pass_answer(request, upstream[0], writer))
    try:
        await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and isinstance(error := sending.exception(), BadMessage | asyncio.IncompleteReadError):
            raise OSError(str(error))
        # The other side may answer before it has read everything, and close.
        is_reusable = await answering
        return is_reusable and sending.done() and sending.exception() is None
    except (BadMessage, asyncio.IncompleteReadError) as error:
        raise OSError(f"the answer is not HTTP: {error}") from error
    finally:
        for task in (sending, answering):
            task.cancel()
        await asyncio.gather(sending, answering, return_exceptions=True)


async def _pass_answer(request: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    while True:
        head = await read_head(reader, is_request=False)
        if head is None:
            raise BadMessage("there is none")
        status = head.first[1]
        if status == b"101":
            raise BadMessage("it changes the protocol")
        if not status.startswith(b"1"):
            break
        if request.first[2] == b"HTTP/1.1":
            writer.write(head_text(head.first, head.forwarded()))
            await writer.drain()
    body = Body(0) if request.first[0] == b"HEAD" or status in _BODILESS else head.body()
    lasts_to_the_end = body.length is None and not body.is_chunked
    is_reusable = keeps_alive(request) and not lasts_to_the_end
    fields = head.forwarded(("connection", b"keep-alive" if is_reusable else b"close"))
    writer.write(head_text((b"HTTP/1.1", status, head.first[2]), fields))
    await writer.drain()
    if lasts_to_the_end:
        await one_way(reader, writer)
    else:
        await pass_body(reader, writer, body)
    return is_reusable


async def unread(reader: asyncio.StreamReader, *, most_bytes: int, seconds: float) -> None:
    """Read away what a client still sends, so that it sees the answer before the connection's end."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(seconds):
            left = most_bytes
            while left > 0 and (piece := await reader.read(2**16)):
                left -= len(piece)
