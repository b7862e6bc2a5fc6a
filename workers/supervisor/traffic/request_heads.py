"""Parser of an HTTP/1 request's head and body length, as far as the gate needs it.

It is strict where parsers may disagree (request smuggling): the app must not read a request in another way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~\x80-\xff]+) (HTTP/1\.[01])")
# Spaces around the value are removed by `strip`: a pattern would try every way to divide them, which may take hours.
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\0]*)")


class Malformed(Exception):
    """The request is invalid or ambiguous."""


@dataclass(frozen=True)
class Head:
    """line: the request line. fields: (name in lower case, value, the unchanged line).

    length: of the body in bytes; None for a chunked body.
    """

    line: bytes
    target: str
    fields: tuple[tuple[str, bytes, bytes], ...]
    length: int | None

    def value(self, name: str) -> str:
        """Return the first value of this header; empty if there is none."""
        return next((value.decode("latin-1") for each, value, _ in self.fields if each == name), "")

    @property
    def is_upgrade(self) -> bool:
        asked = b",".join(value for each, value, _ in self.fields if each == "connection")
        return b"upgrade" in {each.strip() for each in asked.lower().split(b",")}

    @property
    def is_websocket(self) -> bool:
        return self.value("upgrade").lower() == "websocket"

    def cookies(self, name: str) -> Iterator[str]:
        """Yield the values of all cookies with this name."""
        for each, value, _ in self.fields:
            if each == "cookie":
                for pair in value.decode("latin-1").split(";"):
                    key, _, said = pair.strip().partition("=")
                    if key == name:
                        yield said

    def without_cookies(self, prefix: str) -> bytes:
        """Return the head as bytes, without the cookies whose names start with prefix; all else is unchanged."""
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
    """Parse a head, which includes the empty line at its end. Raises Malformed."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise Malformed("the request line is not valid HTTP/1")
    fields = []
    for each in lines:
        field = _FIELD.fullmatch(each)
        if field is None:
            raise Malformed("a header is not a name, a colon and a value")
        fields.append((field[1].decode("ascii").lower(), field[2].strip(b" \t"), each))
    return Head(first, line[2].decode("latin-1"), tuple(fields), _length(fields))


def _length(fields: list[tuple[str, bytes, bytes]]) -> int | None:
    lengths = {value for name, value, _ in fields if name == "content-length"}
    codings = [value.strip().lower() for name, value, _ in fields if name == "transfer-encoding"]
    if codings:
        if codings != [b"chunked"] or lengths:
            raise Malformed("the body's length is ambiguous")
        return None
    if not lengths:
        return 0
    (said, *more) = lengths
    if more or not re.fullmatch(rb"[0-9]{1,18}", said):
        raise Malformed("the body's length is not one number")
    return int(said)
