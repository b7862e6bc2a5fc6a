"""Reads the usage off answers while they pass: one reader for each call, fed with each chunk.

A reader keeps nothing but the line that is not complete yet. Most chunks cost it two searches for a few bytes; only
events that can contain a usage are parsed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from common.values.model_provider import TokenCount
from web.gateway.model_apis import Format

LONGEST_LINE_BYTES = 2**24
"""A longer line of a stream, and a longer answer in JSON, is passed on but not read."""


_PART_START = re.compile(r"[^\s,]")


@dataclass
class Usage:
    """What an answer has said so far. is_final: it has named the usage of the whole call.

    events: of a stream. body_bytes: the size of an answer that is no stream, or that can't be read.
    """

    model: str | None = None
    input: int = 0
    cached: int = 0
    cache_write: int = 0
    cache_write_hour: int = 0
    output: int = 0
    is_final: bool = False
    events: int = 0
    body_bytes: int = 0

    def count(self) -> TokenCount:
        return TokenCount(self.input, self.cached, self.cache_write, self.output, self.cache_write_hour)


Event = Mapping[str, object]
Take = Callable[[Usage, Event], None]


class EventReader:
    """Reads a stream of server-sent events. marker: what the line of an event with a usage contains. empty: what it
    contains if the usage is null.
    """

    __slots__ = ("_empty", "_held", "_held_bytes", "_is_skipping", "_marker", "_take", "usage")

    def __init__(self, marker: bytes, empty: bytes, take: Take) -> None:
        self.usage = Usage()
        self._marker = marker
        self._empty = empty
        self._take = take
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
        if self._marker in whole:
            self._read(whole)
        if end < len(chunk):
            self._hold(chunk[end:])

    def finish(self) -> None:
        """Read the last line, if it has no end. Call it once, when the answer is over."""
        rest = b"".join(self._held)
        if self._marker in rest:
            self._read(rest)
        self._held.clear()

    def _hold(self, piece: bytes) -> None:
        if self._is_skipping:
            return
        self._held.append(piece)
        self._held_bytes += len(piece)
        if self._held_bytes > LONGEST_LINE_BYTES:
            self._held.clear()
            self._held_bytes, self._is_skipping = 0, True

    def _read(self, lines: bytes) -> None:
        for line in lines.split(b"\n"):
            if self._marker not in line or self._empty in line or not line.startswith(b"data:"):
                continue
            event = _parsed(line[5:])
            if isinstance(event, dict):
                self._take(self.usage, event)


class DocumentReader:
    """Reads an answer in JSON, which may be a list of parts. Keeps it until it is over.

    Of a list that was cut off, the parts that are complete are read.
    """

    __slots__ = ("_pieces", "_take", "usage")

    def __init__(self, take: Take) -> None:
        self.usage = Usage()
        self._take = take
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        self.usage.body_bytes += len(chunk)
        if self.usage.body_bytes <= LONGEST_LINE_BYTES:
            self._pieces.append(chunk)

    def finish(self) -> None:
        text = b"".join(self._pieces) if self.usage.body_bytes <= LONGEST_LINE_BYTES else b""
        self._pieces.clear()
        document = _parsed(text)
        if document is None:
            document = _parsed_parts(text)
        for part in document if isinstance(document, list) else [document]:
            if isinstance(part, dict):
                self._take(self.usage, part)


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
    marker, empty, take = _READERS[format_]
    if content_type.partition(";")[0].strip().lower() == "text/event-stream":
        return EventReader(marker, empty, take)
    return DocumentReader(take)


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


def _number(of: Event, name: str) -> int | None:
    """A number of tokens; None if the provider does not name it. Anything but a sane number counts as not named."""
    value = of.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 10**12
    return int(value) if is_number else None  # type: ignore[call-overload]


def _part(of: Event, name: str) -> Event:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _name_model(usage: Usage, name: object) -> None:
    if isinstance(name, str) and name:
        usage.model = name


def _take_anthropic(usage: Usage, event: Event) -> None:
    """A stream names the input in message_start, and the output and sometimes all again in message_delta."""
    kind = event.get("type")
    message = _part(event, "message") if kind == "message_start" else event
    if kind not in {"message_start", "message_delta", "message"}:
        return
    _name_model(usage, message.get("model"))
    said = _part(message, "usage")
    for ours, theirs in (
        ("input", "input_tokens"),
        ("cached", "cache_read_input_tokens"),
        ("cache_write", "cache_creation_input_tokens"),
        ("output", "output_tokens"),
    ):
        number = _number(said, theirs)
        if number is not None:
            setattr(usage, ours, number)
    hour = _number(_part(said, "cache_creation"), "ephemeral_1h_input_tokens")
    usage.cache_write_hour = usage.cache_write_hour if hour is None else hour
    usage.is_final = kind != "message_start" and "output_tokens" in said


def _take_responses(usage: Usage, event: Event) -> None:
    """The usage is in the last event of a stream: response.completed, .incomplete or .failed."""
    response = _part(event, "response") if "response" in event else event
    _name_model(usage, response.get("model"))
    said = _part(response, "usage")
    if said:
        _take_openai(usage, said, "input_tokens", "input_tokens_details", "output_tokens")


def _take_chat(usage: Usage, event: Event) -> None:
    """The usage is in the last chunk, if the request asked for it. Some servers send it in every chunk, rising."""
    _name_model(usage, event.get("model"))
    said = _part(event, "usage")
    if said:
        _take_openai(usage, said, "prompt_tokens", "prompt_tokens_details", "completion_tokens")


def _take_openai(usage: Usage, said: Event, input_name: str, details_name: str, output_name: str) -> None:
    """OpenAI's input contains what was read from the cache and written to it; its output contains the reasoning."""
    everything, details = _number(said, input_name) or 0, _part(said, details_name)
    # Some servers that speak Chat Completions have cached_tokens beside the others.
    cached = _number(details, "cached_tokens") or _number(said, "cached_tokens") or 0
    usage.cached = min(cached, everything)
    usage.cache_write = min(_number(details, "cache_write_tokens") or 0, everything - usage.cached)
    usage.input = everything - usage.cached - usage.cache_write
    usage.output = _number(said, output_name) or 0
    usage.is_final = True


def _take_gemini(usage: Usage, event: Event) -> None:
    """Each part names the usage so far; the last one counts. Thoughts are paid for as output."""
    _name_model(usage, event.get("modelVersion"))
    said = _part(event, "usageMetadata")
    if not said:
        return
    prompt = (_number(said, "promptTokenCount") or 0) + (_number(said, "toolUsePromptTokenCount") or 0)
    cached = min(_number(said, "cachedContentTokenCount") or 0, prompt)
    usage.input, usage.cached = prompt - cached, cached
    usage.output = (_number(said, "candidatesTokenCount") or 0) + (_number(said, "thoughtsTokenCount") or 0)
    usage.is_final = True


_NEVER = b"\0"
"""In no line of JSON."""

_READERS: dict[Format, tuple[bytes, bytes, Take]] = {
    "anthropic": (b'"usage"', _NEVER, _take_anthropic),
    "responses": (b'"usage"', _NEVER, _take_responses),
    # OpenAI sends `"usage":null` in every chunk but the last.
    "chat": (b'"usage"', b'"usage":null', _take_chat),
    "gemini": (b'"usageMetadata"', _NEVER, _take_gemini),
}
