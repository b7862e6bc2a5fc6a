"""Makes PNGs of one colour, and reads the colour of a pixel of what Chromium draws."""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Colour = tuple[int, int, int]


def solid(width: int, height: int, colour: Colour) -> bytes:
    """A picture of one colour."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(colour) * width) * height
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def pixel(content: bytes, x: int, y: int) -> Colour:
    """The colour there. The picture has 8 bits a channel, with or without transparency, and is not interlaced."""
    width, _height, depth, kind, _compression, _filter, interlaced = struct.unpack_from(">IIBBBBB", content, 16)
    assert (depth, kind in {2, 6}, interlaced) == (8, True, 0)
    step = 3 if kind == 2 else 4
    raw = zlib.decompress(b"".join(body for name, body in _chunks(content) if name == b"IDAT"))
    row = bytes(width * step)
    for number in range(y + 1):
        start = number * (width * step + 1)
        row = _unfiltered(raw[start], raw[start + 1 : start + 1 + width * step], row, step)
    return row[x * step], row[x * step + 1], row[x * step + 2]


def _unfiltered(how: int, line: bytes, above: bytes, step: int) -> bytes:
    made = bytearray(line)
    for at in range(len(made)):
        left = made[at - step] if at >= step else 0
        corner = above[at - step] if at >= step else 0
        guess = {0: 0, 1: left, 2: above[at], 3: (left + above[at]) // 2}.get(how)
        made[at] = (made[at] + (_paeth(left, above[at], corner) if guess is None else guess)) % 256
    return bytes(made)


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda one: abs(guess - one))


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(SIGNATURE)
    while at < len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        found.append((name, content[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
