"""The documents in a file or folder of advisories: JSON files, and zip files of them as OSV publishes them."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import orjson

MOST_DOCUMENT_BYTES = 16 * 2**20
MOST_LIST_BYTES = 64 * 2**20
"""Of a file that is not in a zip file; it may hold a list of advisories."""

Signature = tuple[int, int, int]
"""How many files there are, their bytes, and when the newest changed (ns)."""


def signature(source: Path) -> Signature:
    """Differs once the files have changed. (0, 0, 0) if there are none."""
    count = total = newest = 0
    for path in _files(source):
        try:
            found = path.stat()
        except OSError:
            continue
        count, total, newest = count + 1, total + found.st_size, max(newest, found.st_mtime_ns)
    return count, total, newest


def documents(source: Path) -> Iterator[tuple[str, object]]:
    """Yield each document with where it is. Raises ValueError, which names the file, for what is no JSON."""
    is_empty = True
    for path in _files(source):
        is_empty = False
        if path.suffix == ".zip":
            yield from _zipped(path)
        else:
            yield from _listed(str(path), _content(path))
    if is_empty:
        raise ValueError(f"{source} has no .json or .zip file")


def _files(source: Path) -> Iterator[Path]:
    if not source.is_dir():
        if source.exists():
            yield source
        return
    for folder, folders, names in os.walk(source):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names) if name.endswith((".json", ".zip")))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_LIST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    if len(content) > MOST_LIST_BYTES:
        raise ValueError(
            f"{path} has more than {MOST_LIST_BYTES // 2**20} MiB; give a folder or a zip of smaller files"
        )
    return content


def _zipped(path: Path) -> Iterator[tuple[str, object]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".json"):
                    continue
                place = f"{path}, {member.filename}"
                if member.file_size > MOST_DOCUMENT_BYTES:
                    raise ValueError(f"{place} has more than {MOST_DOCUMENT_BYTES // 2**20} MiB")
                yield from _listed(place, archive.read(member))
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is no whole zip file: {error}") from error


def _listed(place: str, content: bytes) -> Iterator[tuple[str, object]]:
    try:
        document: object = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{place} is no JSON: {error}") from error
    for one in document if isinstance(document, list) else [document]:
        yield place, one
