"""Reads the usage off answers while they pass: one reader for each call, fed with each chunk.

A reader keeps nothing but the line that is not complete yet. Most chunks cost it a few searches for a few bytes; only
events that can contain a usage are parsed.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection

from web.gateway.answers.first_bytes import has_content, may_be_error
from web.gateway.answers.stream_texts import StreamTexts
from web.gateway.answers.usage_formats import (
    Take,
    Usage,
    take_anthropic,
    take_chat,
    take_error,
    take_gemini,
    take_responses,
)
from web.gateway.model_apis import Format

LONGEST_LINE_BYTES = 2**24
"""A longer line of a stream, and a longer answer in JSON, is passed on but not read."""


_PART_START = re.compile(r"[^\s,]")
_ERROR = b'"error"'
"""In the line of an event that contains an error, or is one."""


class EventReader:
    """Reads a stream of server-sent events. is_before_content: nothing of the answer's content has come yet; False
    unless it is set before the beginning.
    """

    __slots__ = (
        "_empty",
        "_held",
        "_held_bytes",
        "_is_skipping",
        "_marker",
        "_take",
        "_texts",
        "format",
        "is_before_content",
        "usage",
    )

    def __init__(self, format_: Format) -> None:
        self.format = format_
        self.usage = Usage()
        self.is_before_content = False
        self._marker, self._empty, self._take = _READERS[format_]
        self._texts = StreamTexts()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._is_skipping = False

    def feed(self, chunk: bytes) -> None:
        self.usage.events += chunk.count(b"data:")
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._hold(chunk)
            return
        whole = chunk if end == len(chunk) else chunk[:end]
        if self._held:
            whole = b"".join([*self._held, whole])
            self._held.clear()
            self._held_bytes = 0
        elif self._is_skipping:
            whole = whole.partition(b"\n")[2]
        self._is_skipping = False
        if self.is_before_content:
            self.is_before_content = not has_content(self.format, whole)
        self._texts.add_lines(whole, without=self._read(whole))
        if end < len(chunk):
            self._hold(chunk[end:])

    def finish(self) -> None:
        """Read the last line, if it has no end. Call it once, when the answer is over."""
        rest = b"".join(self._held)
        self._texts.add_lines(rest, without=self._read(rest))
        self._held.clear()
        self.usage.text_bytes = self._texts.text_bytes()

    def _hold(self, piece: bytes) -> None:
        if self._is_skipping:
            self._texts.add_unread(len(piece))
            return
        self._held.append(piece)
        self._held_bytes += len(piece)
        if self._held_bytes > LONGEST_LINE_BYTES:
            self._texts.add_unread(self._held_bytes)
            self._held.clear()
            self._held_bytes, self._is_skipping = 0, True

    def _read(self, lines: bytes) -> Collection[bytes]:
        """Take what the lines say. Returns those that contain an error."""
        errors: set[bytes] = set()
        if self._marker not in lines and _ERROR not in lines:
            return errors
        for line in lines.split(b"\n"):
            has_usage = self._marker in line and self._empty not in line
            if not (has_usage or _ERROR in line) or not line.startswith(b"data:"):
                continue
            event = _parsed(line[5:])
            if isinstance(event, dict):
                self._take(self.usage, event)
                if take_error(self.usage, event):
                    errors.add(line)
        return errors


class DocumentReader:
    """Reads an answer in JSON, which may be a list of parts. Keeps it until it is over.

    Of a list that was cut off, the parts that are complete are read. is_before_content: see `EventReader`; an error is
    found by `finish`.
    """

    __slots__ = ("_pieces", "_take", "format", "is_before_content", "usage")

    def __init__(self, format_: Format) -> None:
        self.format = format_
        self.usage = Usage()
        self.is_before_content = False
        self._take = _READERS[format_][2]
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        self.usage.body_bytes += len(chunk)
        if self.usage.body_bytes <= LONGEST_LINE_BYTES:
            self._pieces.append(chunk)
        if self.is_before_content:
            self.is_before_content = may_be_error(b"".join(self._pieces))

    def finish(self) -> None:
        text = b"".join(self._pieces) if self.usage.body_bytes <= LONGEST_LINE_BYTES else b""
        self._pieces.clear()
        document = _parsed(text)
        if document is None:
            document = _parsed_parts(text)
        for part in document if isinstance(document, list) else [document]:
            if isinstance(part, dict):
                self._take(self.usage, part)
                take_error(self.usage, part)


class BlindReader:
    """For answers that cannot be read, such as compressed ones, and for those without a usage: counts their bytes."""

    def __init__(self) -> None:
        self.usage = Usage()

    def feed(self, chunk: bytes) -> None:
        self.usage.body_bytes += len(chunk)

    def finish(self) -> None:
        """There is nothing to read."""


Reader = EventReader | DocumentReader | BlindReader


def reader_for(format_: Format | None, content_type: str, content_encoding: str) -> Reader:
    """The reader of an answer with these headers. format_: None for an endpoint without a usage."""
    if format_ is None or content_encoding.strip().lower() not in {"", "identity"}:
        return BlindReader()
    is_stream = content_type.partition(";")[0].strip().lower() == "text/event-stream"
    return EventReader(format_) if is_stream else DocumentReader(format_)


def fitting_reader(reader: Reader, beginning: bytes) -> Reader:
    """The reader for an answer that begins like this; `reader`, which has read nothing yet, was chosen by the headers.

    Some servers name a wrong Content-Type or none.
    """
    if isinstance(reader, BlindReader):
        return reader
    fitting = _fitting(reader, beginning)
    return reader if isinstance(reader, fitting) else fitting(reader.format)


def probe_for(reader: EventReader | DocumentReader, beginning: bytes) -> EventReader | DocumentReader:
    """A second reader of the answer of `reader`, which tells when its content begins."""
    probe = _fitting(reader, beginning)(reader.format)
    probe.is_before_content = True
    return probe


def _fitting(reader: EventReader | DocumentReader, beginning: bytes) -> type[EventReader | DocumentReader]:
    """JSON begins with a bracket, and no line of a stream of events does."""
    first = beginning.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    if not first:
        return type(reader)
    return DocumentReader if first in b"{[" else EventReader


def _parsed(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _parsed_parts(text: bytes) -> list[object]:
    """The complete parts at the beginning of a list that has no end."""
    read, parts = text.decode("utf-8", "replace").lstrip(), []
    if not read.startswith("["):
        return []
    decoder, at = json.JSONDecoder(), 1
    try:
        while (found := _PART_START.search(read, at)) is not None:
            part, at = decoder.raw_decode(read, found.start())
            parts.append(part)
    except (ValueError, RecursionError):
        pass
    return parts


_NEVER = b"\0"
"""In no line of JSON."""

_READERS: dict[Format, tuple[bytes, bytes, Take]] = {
    "anthropic": (b'"usage"', _NEVER, take_anthropic),
    "responses": (b'"usage"', _NEVER, take_responses),
    # OpenAI sends `"usage":null` in every chunk but the last.
    "chat": (b'"usage"', b'"usage":null', take_chat),
    "gemini": (b'"usageMetadata"', _NEVER, take_gemini),
}
"""What the line of an event with a usage contains, what it contains if that usage is null, and what reads it."""
