"""Measures the text in the events of a stream, for answers that name no usage.

Nothing is parsed. Each event repeats the same names and ids around its text, so they are taken to be as long as the
shortest event of its kind.
"""

from __future__ import annotations

import re
from collections.abc import Collection

MOST_AROUND_TEXT_BYTES = 400
"""The most that an event is taken to have beside its text. More than this, its shortest event has text too."""

_EVENT = re.compile(rb'data:\s*\{(?:\s*"type"\s*:\s*"([a-z_.]{1,60})")?')
_NO_TEXT = frozenset(
    {
        # These repeat the request, such as its instructions and tools.
        *(b"response.created", b"response.queued", b"response.in_progress"),
        *(b"response.completed", b"response.incomplete", b"response.failed"),
        # Of Anthropic. Blocks may begin with what the provider's own tools have found.
        *(b"message_start", b"ping", b"content_block_start"),
    }
)


class StreamTexts:
    """The sizes of a stream's events by kind: their number, all of their bytes, and the bytes of the shortest."""

    __slots__ = ("_kinds", "_unread_bytes")

    def __init__(self) -> None:
        self._kinds: dict[bytes, list[int]] = {}
        self._unread_bytes = 0

    def add_lines(self, lines: bytes, without: Collection[bytes] = ()) -> None:
        """without: those of the lines that have no text."""
        for line in lines.split(b"\n"):
            found = _EVENT.match(line)
            if found is None or line in without:
                continue
            size = len(line)
            kind = self._kinds.get(found[1])
            if kind is None:
                self._kinds[found[1]] = [1, size, size]
                continue
            kind[0] += 1
            kind[1] += size
            if size < kind[2]:
                kind[2] = size

    def add_unread(self, number_of_bytes: int) -> None:
        """Of a line that is too long to be kept."""
        self._unread_bytes += number_of_bytes

    def text_bytes(self) -> int:
        said = repeated = 0
        for kind, (number, size, shortest) in self._kinds.items():
            text = size - number * min(shortest, MOST_AROUND_TEXT_BYTES)
            if kind in _NO_TEXT:
                continue
            # In a stream of Responses, several events repeat a text when it is complete.
            if kind is not None and kind.endswith(b".done"):
                repeated = max(repeated, text)
            else:
                said += text
        return self._unread_bytes + max(said, repeated)
