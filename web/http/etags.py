"""Replies with an ETag: a client that still has the present version gets a 304 without a body, and nothing is read.

The version is read with the caller (common/services/people/project_roles.py), before the rows. So a reply may be newer
than its ETag, which costs one more request, and is never older, which would be shown too long.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from flask import Response, request

from web import VERSION
from web.http.auth import current_caller, reauthentication
from web.http.replies import not_modified, tag_of
from web.http.reply_cache import is_repeatable

MOST_BYTES = 4 * 2**20
"""Bytes of replies, and of the requests for them, that a process keeps."""
_OWN_BYTES = 500
"""About what an entry takes beside them."""


_Key = tuple[str, bytes, str]


class _VersionedReplies:
    """The replies of this process to the same request, as long as the version is the same. The oldest go first."""

    def __init__(self) -> None:
        self._replies: OrderedDict[_Key, tuple[str, bytes]] = OrderedDict()
        self._bytes = 0

    def find(self, key: _Key, tag: str) -> bytes | None:
        kept = self._replies.get(key)
        return kept[1] if kept is not None and kept[0] == tag else None

    def put(self, key: _Key, tag: str, content: bytes) -> None:
        self._drop(key)
        self._replies[key] = tag, content
        self._bytes += _size(key, content)
        while self._bytes > MOST_BYTES:
            self._drop(next(iter(self._replies)))

    def _drop(self, key: _Key) -> None:
        kept = self._replies.pop(key, None)
        if kept is not None:
            self._bytes -= _size(key, kept[1])


def _size(key: _Key, content: bytes) -> int:
    return _OWN_BYTES + len(content) + sum(map(len, key))


_versioned_replies = _VersionedReplies()


def with_content_etag(content: bytes, read_state: Callable[[], object], state: object) -> Response:
    """The content with an ETag that is made from it: a client that has it already gets a 304 without a body.

    For replies that depend on more than one version tells of, such as the time that a run has taken until now.
    read_state, state: as of `is_repeatable`; state is None if the reply depends on more than `read_state` returns.
    """
    content = _exact(content)
    tag = tag_of(content)
    reply = not_modified(tag) or Response(content, headers={"ETag": f'W/"{tag}"'}, content_type="application/json")
    if state is not None:
        is_repeatable(reply.data, read_state, state)
    return reply


def _exact(content: bytes) -> bytes:
    """The same in memory of its own size: orjson leaves it in up to twice as much, and at least in 4 KiB."""
    return bytes(memoryview(content))


def with_version_etag(write: Callable[[], bytes], *, of_user: str = "") -> Response:
    """The reply to this request, which depends on its path, its query and the version in the caller's standing alone.

    Without a version, its ETag is made from its content. of_user: the id of the user if the reply depends on who asks.
    The view has checked that it may be seen: a kept reply is sent to everybody who asks for the same.
    """
    role_in_project = current_caller().role_in_project
    if role_in_project is None or (version := role_in_project.version) is None:
        return Response(write(), content_type="application/json")
    current = request._get_current_object()  # type: ignore[attr-defined]
    tag = f"{VERSION}-{version}-{of_user}"
    reply = not_modified(tag)
    if reply is None:
        key = current.path, current.query_string, of_user
        content = _versioned_replies.find(key, tag)
        if content is None:
            content = _exact(write())
            _versioned_replies.put(key, tag, content)
        reply = Response(content, headers={"ETag": f'W/"{tag}"'}, content_type="application/json")
    is_repeatable(reply.data, *reauthentication())
    return reply
