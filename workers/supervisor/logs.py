"""Logs of what the children write: a file per version, capped, and a tail in memory for checks.

A log never grows beyond about twice its cap, and what is read back is plain text: no control characters but the tab,
so that a program's output can't draw on the reader's terminal. Secrets are masked before anything is kept (`Masked`).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from common.key_formats import load
from common.machine.log_files import OutputTail, RotatedLog, read_rotated
from common.machine.text import plain
from common.masking import Mask, without_plain_words
from common.values.variable_set import Variables

FILE_BYTES = 2**20
TAIL_BYTES = 64 * 1024
LINE_CHARACTERS = 4000
WAITED_BYTES = 64 * 1024
MARGIN = 16 * 1024
"""The longest secret that is found across the border of two parts of an endless line."""


class Sink(Protocol):
    """Where a process's output goes."""

    def write(self, chunk: bytes) -> None: ...

    def end(self) -> None:
        """Nothing more comes."""


class Masked:
    """Passes on to another sink, line by line, what secrets have been masked in.

    The end of a line is waited for, since only a whole line can be looked through; of one that is longer than
    WAITED_BYTES the last MARGIN characters are.
    """

    def __init__(self, sink: Sink, mask: Mask) -> None:
        self._sink = sink
        self._mask = mask
        self._rest = b""
        self._last: str | None = None

    def write(self, chunk: bytes) -> None:
        self._rest += chunk
        # A carriage return that is the last yet may be the first half of a line end.
        stop = max(self._rest.rfind(b"\n"), self._rest.rfind(b"\r", 0, -1)) + 1
        if stop:
            lines, self._rest = self._rest[:stop], self._rest[stop:]
            self._pass_on(plain(lines))
        elif len(self._rest) > WAITED_BYTES:
            # What is kept back is masked already, but for a secret that goes on in the next chunk.
            text = self._masked(plain(self._rest))
            self._sink.write(text[:-MARGIN].encode("utf-8", "replace"))
            self._rest = text[-MARGIN:].encode("utf-8", "replace")

    def end(self) -> None:
        rest, self._rest = self._rest, b""
        self._pass_on(plain(rest))

    def _pass_on(self, text: str) -> None:
        if text:
            self._sink.write(self._masked(text).encode("utf-8", "replace"))

    def _masked(self, text: str) -> str:
        body = text.removesuffix("\n")
        lines = self._mask.lines(body.split("\n"), after=self._last)
        self._last = lines[-1]
        return "\n".join(lines) + text[len(body) :]


async def masked(sink: Sink, variables: Variables, password: str | None) -> Masked:
    """The sink behind a mask of what the program is given, and of the password that its code was cloned with.

    The platform masks again, also what is not given to the program.
    """
    secrets = [value for name, value in variables.values.items() if name in variables.secret_names]
    values = [*secrets, *without_plain_words(variables.values), password or ""]
    await asyncio.to_thread(load)
    return Masked(sink, await asyncio.to_thread(Mask, values))


class LogFile:
    """A version's log, rotated at FILE_BYTES."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._log = RotatedLog(path, most_bytes=FILE_BYTES)
        self._at_line_start = True

    def write(self, chunk: bytes) -> None:
        self._log.write(chunk)
        self._at_line_start = chunk.endswith(b"\n")

    def end(self) -> None:
        """It stays open for the version's next process."""

    def note(self, text: str) -> None:
        """A line of the supervisor's own."""
        self.write(f"{'' if self._at_line_start else chr(10)}[runtime] {text}\n".encode())

    def last_lines(self, limit: int) -> list[str]:
        return last_lines(self._path, limit)

    def close(self) -> None:
        self._log.close()


class Tail:
    """The last TAIL_BYTES of an output, in memory."""

    def __init__(self) -> None:
        self._tail = OutputTail(TAIL_BYTES)

    def write(self, chunk: bytes) -> None:
        self._tail.write(chunk)

    def end(self) -> None:
        """What was kept stays."""

    def text(self) -> str:
        return plain(self._tail.content())


def last_lines(path: Path, limit: int) -> list[str]:
    """The last lines of a log, oldest first, each cut to LINE_CHARACTERS. Empty where there is no log."""
    lines = plain(read_rotated(path)).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return [line[:LINE_CHARACTERS] for line in lines[len(lines) - min(limit, len(lines)) :]]
