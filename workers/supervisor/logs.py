"""Logs of what the children write: a file per version, capped, and a tail in memory for checks.

A log never grows beyond about twice its cap, and what is read back is plain text: no control characters but the tab,
so that a program's output can't draw on the reader's terminal.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Protocol

FILE_BYTES = 2**20
TAIL_BYTES = 64 * 1024
LINE_CHARACTERS = 4000

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Sink(Protocol):
    """Where a process's output goes."""

    def write(self, chunk: bytes) -> None: ...


def plain(output: bytes) -> str:
    """Text with its line ends kept as `\\n`, without escape sequences and control characters."""
    text = output.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", _ESCAPE.sub("", text))


class LogFile:
    """A version's log. At FILE_BYTES it becomes `<name>.1` (the one before is dropped) and a new one begins."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._bytes = self._file.tell()
        self._at_line_start = True

    def write(self, chunk: bytes) -> None:
        # A full disk loses log lines; it must not stop the reader, or the program would hang on its own output.
        with contextlib.suppress(OSError):
            if self._bytes + len(chunk) > FILE_BYTES:
                self._rotate()
            self._file.write(chunk)
            self._bytes += len(chunk)
        self._at_line_start = chunk.endswith(b"\n")

    def note(self, text: str) -> None:
        """A line of the supervisor's own."""
        self.write(f"{'' if self._at_line_start else chr(10)}[runtime] {text}\n".encode())

    def last_lines(self, limit: int) -> list[str]:
        return last_lines(self._path, limit)

    def close(self) -> None:
        self._file.close()

    def _rotate(self) -> None:
        self._path.replace(_older(self._path))
        self._file.close()
        self._file = self._path.open("ab", buffering=0)
        self._bytes = 0


class Tail:
    """The last TAIL_BYTES of an output, in memory."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def write(self, chunk: bytes) -> None:
        self._kept += chunk
        if len(self._kept) > 2 * TAIL_BYTES:
            del self._kept[:-TAIL_BYTES]

    def text(self) -> str:
        return plain(bytes(self._kept[-TAIL_BYTES:]))


def last_lines(path: Path, limit: int) -> list[str]:
    """The last lines of a log, oldest first, each cut to LINE_CHARACTERS. Empty where there is no log."""
    output = b""
    for part in (_older(path), path):
        with contextlib.suppress(FileNotFoundError):
            output += part.read_bytes()
    lines = plain(output).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return [line[:LINE_CHARACTERS] for line in lines[len(lines) - min(limit, len(lines)) :]]


def _older(path: Path) -> Path:
    return path.with_name(path.name + ".1")
