"""A forwarded port that passes on only HTTP requests to some paths, such as the model gateway's but not the API's."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import unquote_to_bytes

from workers.sandbox.network.http_exchanges import Streams, answer_text, exchange, has_body, keeps_alive, unread
from workers.sandbox.network.http_messages import BadMessage, Head, read_head

# Encoded, these could mean another path to whoever decodes them: a slash, a backslash, a dot, a percent sign, controls.
_TRICKS = re.compile(rb"%(?:2[fFeE5]|5[cC]|[01][0-9a-fA-F]|7[fF])|\\|#")
_ESCAPES = re.compile(rb"%(?![0-9a-fA-F]{2})")


def is_open(target: bytes, paths: tuple[str, ...]) -> bool:
    """Whether the target of a request has a path that begins with one of these, however a server may read it."""
    path = target.partition(b"?")[0]
    if not path.startswith(b"/") or _TRICKS.search(target if b"#" in target else path) or _ESCAPES.search(path):
        return False
    plain = unquote_to_bytes(path)
    segments = plain.split(b"/")[1:]
    # Of a path's parameters, as in `/a;b`, some servers take no notice.
    if any(segment.split(b";")[0] in {b".", b".."} for segment in segments) or b"" in segments[:-1]:
        return False
    return any(path.startswith(one.encode()) and plain.startswith(one.encode()) for one in paths)


async def serve(client: Streams, paths: tuple[str, ...], connect: Callable[[], Awaitable[Streams]]) -> None:
    """Pass on the requests of one connection until it ends. OSError if it breaks."""
    reader, writer = client
    while True:
        try:
            request = await read_head(reader, is_request=True)
            if request is None:
                return
            request.body()
        except BadMessage as error:
            await answer_text(writer, "400 Bad Request", f"This request can't be passed on: {error}.")
            return
        if not await pass_on(client, request, request.first[1], paths, connect):
            return


async def pass_on(
    client: Streams, request: Head, target: bytes, paths: tuple[str, ...], connect: Callable[[], Awaitable[Streams]]
) -> bool:
    """Pass on one request, whose head was read, if its path is open; any is where `paths` is empty.

    Returns whether the connection goes on. OSError if it breaks.
    """
    reader, writer = client
    if paths and not is_open(target, paths):
        is_last = has_body(request) or not keeps_alive(request)
        allowed = " and ".join(paths)
        await answer_text(writer, "403 Forbidden", f"Only paths below {allowed} are open here.", is_last=is_last)
        if is_last:
            await unread(reader, most_bytes=2**20, seconds=2)
        return not is_last
    try:
        return await exchange(client, request, target, connect)
    except ConnectionRefusedError:
        await answer_text(writer, "502 Bad Gateway", "Nothing answers behind this door.")
        return False
