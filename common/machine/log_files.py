"""Bounded output of programs: a rotated log file, and the end of a stream in memory."""

from __future__ import annotations

import contextlib
from pathlib import Path


class RotatedLog:
    """A log file. When it reaches most_bytes, it is renamed to `<name>.1`, replacing that file, and a new one begins.

    begins_anew: rename an existing file at once; if False, append to it. The directory must exist. Not thread-safe.
    """

    def __init__(self, path: Path, *, most_bytes: int, begins_anew: bool = False) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._is_closed = False
        self._bytes = 0
        if begins_anew and path.exists():
            path.replace(_older(path))
        self._open()

    def write(self, chunk: bytes) -> None:
        """Append the chunk. It is dropped on an error, so that a full disk does not stop the reading of output."""
        if self._is_closed:
            # Output that a killed program left in its pipe.
            return
        with contextlib.suppress(OSError):
            if self._bytes and self._bytes + len(chunk) > self._most_bytes:
                # Somebody may have removed or moved it.
                with contextlib.suppress(FileNotFoundError):
                    self.path.replace(_older(self.path))
                self._file.close()
                self._bytes = 0
            # It is closed also if the new file could not be opened the last time.
            if self._file.closed:
                self._open()
            self._file.write(chunk)
            self._bytes += len(chunk)

    def close(self) -> None:
        self._is_closed = True
        self._file.close()

    def _open(self) -> None:
        self._file = self.path.open("ab", buffering=0)
        self._bytes = self._file.tell()


def read_rotated(path: Path) -> bytes:
    """The content of a rotated log, oldest part first. Empty if there is no log."""
    output = b""
    for part in (_older(path), path):
        with contextlib.suppress(FileNotFoundError):
            output += part.read_bytes()
    return output


class OutputTail:
    """Keeps the last most_bytes that were written to it."""

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
