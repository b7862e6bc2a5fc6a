"""Output of programs, kept within bounds: a log file that is rotated, and the end of a stream in memory."""

from __future__ import annotations

import contextlib
from pathlib import Path


class RotatedLog:
    """A log file. At most_bytes it becomes `<name>.1`, in the place of the one before, and a new one begins.

    begins_anew: that also happens at once to a file that is there already; else it is appended to. The directory must
    exist. Not thread-safe.
    """

    def __init__(self, path: Path, *, most_bytes: int, begins_anew: bool = False) -> None:
        self.path = path
        self._most_bytes = most_bytes
        if begins_anew and path.exists():
            path.replace(_older(path))
        self._open()

    def write(self, chunk: bytes) -> None:
        """Append. What can't be written is dropped: a full disk must not stop whoever reads a program's output."""
        # ValueError: it is closed, and what a killed program left in its pipe comes late.
        with contextlib.suppress(OSError, ValueError):
            if self._bytes and self._bytes + len(chunk) > self._most_bytes:
                self.path.replace(_older(self.path))
                self._file.close()
                self._open()
            self._file.write(chunk)
            self._bytes += len(chunk)

    def close(self) -> None:
        self._file.close()

    def _open(self) -> None:
        self._file = self.path.open("ab", buffering=0)
        self._bytes = self._file.tell()


def read_rotated(path: Path) -> bytes:
    """All that is kept of a rotated log, oldest first. Empty where there is none."""
    output = b""
    for part in (_older(path), path):
        with contextlib.suppress(FileNotFoundError):
            output += part.read_bytes()
    return output


class OutputTail:
    """The last most_bytes that were written to it."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept = bytearray()

    def write(self, chunk: bytes) -> None:
        self._kept += chunk
        if len(self._kept) > 2 * self._most_bytes:
            del self._kept[: -self._most_bytes]

    def content(self) -> bytes:
        return bytes(self._kept[-self._most_bytes :])


def _older(path: Path) -> Path:
    return path.with_name(path.name + ".1")
