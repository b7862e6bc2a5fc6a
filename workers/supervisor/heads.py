"""The head of an HTTP/1 request, and where its body ends: as much of HTTP as a gate needs.

It is strict where two readers could disagree: what is read here in one way must not be read by the app in another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE = re.compile(rb"([A-Za-z]{1,32}) ([!-~]{1,32768}) (HTTP/1\.[01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")


class Malformed(Exception):
    """Not a request that has one meaning."""


@dataclass(frozen=True)
class Head:
    """line: the request line. fields: (name in lower case, value, the line as it came).

    length: the body's bytes, None for one in chunks.
    """

    line: bytes
    target: str
    fields: tuple[tuple[str, bytes, bytes], ...]
    length: int | None

    def value(self, name: str) -> str:
        """The first value of this name; empty where there is none."""
        return next((value.decode("latin-1") for each, value, _ in self.fields if each == name), "")

    @property
    def is_upgrade(self) -> bool:
        return "upgrade" in {each.strip() for each in self.value("connection").lower().split(",")}

    @property
    def is_websocket(self) -> bool:
        return self.value("upgrade").lower() == "websocket"

    def cookies(self, name: str) -> Iterator[str]:
        """The values of this cookie."""
        for each, value, _ in self.fields:
            if each == "cookie":
                for pair in value.decode("latin-1").split(";"):
                    key, _, said = pair.strip().partition("=")
                    if key == name:
                        yield said

    def without_cookies(self, prefix: str) -> bytes:
        """The head as bytes, the cookies of such a name taken out; all else as it came."""
        lines = [self.line]
        for name, value, line in self.fields:
            if name != "cookie":
                lines.append(line)
                continue
            pairs = [pair.strip() for pair in value.split(b";")]
            kept = [pair for pair in pairs if not pair.startswith(prefix.encode())]
            if len(kept) == len(pairs):
                lines.append(line)
            elif kept:
                lines.append(b"Cookie: " + b"; ".join(kept))
        return b"\r\n".join(lines) + b"\r\n\r\n"


def parse(head: bytes) -> Head:
    """From the bytes of a head, the empty line at its end included. Raises Malformed."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise Malformed("the request line is not one of HTTP/1")
    fields = []
    for each in lines:
        field = _FIELD.fullmatch(each)
        if field is None:
            raise Malformed("a header is not a name, a colon and a value")
        fields.append((field[1].decode("ascii").lower(), field[2], each))
    return Head(first, line[2].decode("ascii"), tuple(fields), _length(fields))


def _length(fields: list[tuple[str, bytes, bytes]]) -> int | None:
    lengths = {value for name, value, _ in fields if name == "content-length"}
    codings = [value.strip().lower() for name, value, _ in fields if name == "transfer-encoding"]
    if codings:
        if codings != [b"chunked"] or lengths:
            raise Malformed("the body's end is not clear")
        return None
    if not lengths:
        return 0
    (said, *more) = lengths
    if more or not re.fullmatch(rb"[0-9]{1,18}", said):
        raise Malformed("the body's length is not one number")
    return int(said)
