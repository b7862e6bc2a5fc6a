"""Logs of the children's output: a capped file per version, and a tail in memory for checks.

A log file never grows beyond about twice its cap. Logs are read as plain text, without control characters except tabs,
so a program's output can't send escape sequences to the reader's terminal. Secrets are masked before anything is
stored (`Masked`).
"""

from __future__ import annotations

import asyncio
import re
import string
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from common.machine.log_files import OutputTail, RotatedLog, read_rotated
from common.machine.text import plain
from common.secrets.key_formats import load
from common.secrets.masking import Mask, without_plain_words
from common.values.log_line import LogLine
from common.values.variable_set import Variables

FILE_BYTES = 2**20
TAIL_BYTES = 64 * 1024
LINE_CHARACTERS = 4000
WAITED_BYTES = 64 * 1024
MARGIN = 16 * 1024
"""The length of the longest secret that is still found where an over-long line is split."""

_OF_KEYS = f"{string.ascii_letters}{string.digits}_+/=.~-"
"""What keys of a known format consist of."""
_LONGEST_KEY = MARGIN // 2
_STOP = "\0"
"""No secret goes on with it, and so none is taken for begun at the end of what stands before it."""
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ")


class Sink(Protocol):
    """Receives a process's output."""

    def write(self, chunk: bytes) -> None: ...

    def end(self) -> None:
        """The output has ended."""


class Masked:
    """Masks secrets and passes the output on to another sink, line by line.

    An incomplete line is held back until it is complete, because only whole lines can be searched. Of a line longer
    than WAITED_BYTES, only the last MARGIN characters are held back.
    """

    def __init__(self, sink: Sink, mask: Mask) -> None:
        self._sink = sink
        self._mask = mask
        self._rest = b""
        self._last: str | None = None

    def write(self, chunk: bytes) -> None:
        self._rest += chunk
        # A carriage return at the end may be the first half of a line end.
        stop = max(self._rest.rfind(b"\n"), self._rest.rfind(b"\r", 0, -1)) + 1
        if stop:
            lines, self._rest = self._rest[:stop], self._rest[stop:]
            self._pass_on(plain(lines))
        elif len(self._rest) > WAITED_BYTES:
            self._pass_beginning()

    def end(self) -> None:
        rest, self._rest = self._rest, b""
        self._pass_on(plain(rest))

    def note(self, text: str) -> None:
        """Write a line of the supervisor itself, between the lines of the output."""
        words = " ".join(plain(text.encode("utf-8", "replace")).split())
        self._sink.write(f"[runtime] {self._mask.lines([words])[0]}\n".encode("utf-8", "replace"))

    def _pass_beginning(self) -> None:
        """Pass on what there is of a line, but for the end. That is held back masked, except for what may be the
        beginning of a secret: with what follows, it is masked whole."""
        whole = _without_begun(self._rest)
        text, begun = plain(whole), self._rest[len(whole) :]
        end = text[-_LONGEST_KEY:]
        # It may be the beginning of a key of a known format.
        word = end[len(end.rstrip(_OF_KEYS)) :]
        head, _ = self._mask.lines([text.removesuffix(word), _STOP], after=self._last)
        self._last, text = head, head + word
        self._sink.write(text[:-MARGIN].encode("utf-8", "replace"))
        self._rest = text[-MARGIN:].encode("utf-8", "replace") + begun

    def _pass_on(self, text: str) -> None:
        if text:
            self._sink.write(self._masked(text).encode("utf-8", "replace"))

    def _masked(self, text: str) -> str:
        body = text.removesuffix("\n")
        lines = self._mask.lines(body.split("\n"), after=self._last)
        self._last = lines[-1]
        return "\n".join(lines) + text[len(body) :]


def _without_begun(output: bytes) -> bytes:
    """The output without the beginning, at its end, of a line end or of a character in UTF-8."""
    if output.endswith(b"\r"):
        return output[:-1]
    for count in range(1, 4):
        first = output[-count]
        if first < 0x80:
            break
        if first >= 0xC0:
            length = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            return output[:-count] if count < length else output
    return output


async def masked(sink: Sink, variables: Variables, password: str | None) -> Masked:
    """Return a sink that masks the program's variables and the password that its code was cloned with.

    The platform masks again, with secrets that the program does not get.
    """
    secrets = [value for name, value in variables.values.items() if name in variables.secret_names]
    values = [*secrets, *without_plain_words(variables.values), password or ""]
    await asyncio.to_thread(load)
    return Masked(sink, await asyncio.to_thread(Mask, values))


class LogFile:
    """A version's log, rotated at FILE_BYTES. Each line begins with the time at which it came, and a space."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._log = RotatedLog(path, most_bytes=FILE_BYTES)
        self._at_line_start = True

    def write(self, chunk: bytes) -> None:
        if not chunk:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
        stamp = f"{now}Z ".encode()
        body = chunk.removesuffix(b"\n")
        lines = body.replace(b"\n", b"\n" + stamp) + chunk[len(body) :]
        self._log.write((stamp if self._at_line_start else b"") + lines)
        self._at_line_start = chunk.endswith(b"\n")

    def end(self) -> None:
        """No-op: the file stays open for the version's next process."""

    def note(self, text: str) -> None:
        """Write a line of the supervisor itself."""
        self.write(f"{'' if self._at_line_start else chr(10)}[runtime] {text}\n".encode())

    def last_lines(self, limit: int) -> list[str]:
        """The texts of the last lines, oldest first."""
        return [line.text for line in last_lines(self._path, limit)]

    def output_end(self) -> str:
        """Return the last lines of the program's output after a colon; empty if there are none."""
        output = " | ".join(line for line in self.last_lines(6) if not line.startswith("[runtime]"))
        return f": {output[-1000:]}" if output else ""

    def close(self) -> None:
        self._log.close()


class Tail:
    """The last TAIL_BYTES of an output, in memory."""

    def __init__(self) -> None:
        self._tail = OutputTail(TAIL_BYTES)

    def write(self, chunk: bytes) -> None:
        self._tail.write(chunk)

    def end(self) -> None:
        """No-op: the tail stays readable."""

    def text(self) -> str:
        return plain(self._tail.content())


def last_lines(path: Path, limit: int) -> list[LogLine]:
    """Return the last lines of a log, oldest first, each cut to LINE_CHARACTERS. Empty if there is no log."""
    lines = plain(read_rotated(path)).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return [_line(line) for line in lines[len(lines) - min(limit, len(lines)) :]]


def _line(stored: str) -> LogLine:
    found = _STAMP.match(stored)
    text = stored[found.end() :] if found else stored
    return LogLine(found[1] if found else None, text[:LINE_CHARACTERS])
