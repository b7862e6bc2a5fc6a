"""Archives of a driver's session directory, so that any agent can continue a waiting task.

A gzipped tar: `manifest.json` first (driver, round, head commit), then the directory's files below `session/`. The
archive is not trusted when it is read, because it may come from another agent.
"""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
import zlib
from pathlib import Path

from common.errors import ProviderRefused
from workers.runner.drivers.protocol import SavedSession

_MANIFEST = "manifest.json"
_FOLDER = "session/"
MOST_UNPACKED_BYTES = 256 * 2**20


def pack(directory: Path, *, driver: str, round_number: int, head_sha: str) -> bytes:
    """Return an archive of the directory's regular files; symbolic links and special files are left out.

    Each file is checked by the open descriptor that it is read from, because a process of the agent may replace the
    file meanwhile. Raises ProviderRefused (`session_too_large`) if `unpack` would not accept the files.
    """
    manifest = json.dumps({"driver": driver, "round": round_number, "headSha": head_sha}).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo(_MANIFEST)
        entry.size = len(manifest)
        archive.addfile(entry, io.BytesIO(manifest))
        left_bytes = MOST_UNPACKED_BYTES
        for place, _, names, descriptor in os.fwalk(directory, follow_symlinks=False):
            for name in sorted(names):
                path = Path(place, name).relative_to(directory)
                left_bytes -= _add(archive, _FOLDER + path.as_posix(), name, descriptor, left_bytes)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, stored_as: str, name: str, descriptor: int, most_bytes: int) -> int:
    """Add the file of this name in an open directory; returns its size, 0 for links and special files (left out)."""
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
    except OSError:  # a link, or deleted meanwhile
        return 0
    with os.fdopen(opened, "rb") as file:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            return 0
        if status.st_size > most_bytes:
            limit = MOST_UNPACKED_BYTES // 2**20
            raise ProviderRefused(f"the session's files are larger than {limit} MiB", code="session_too_large")
        entry = archive.gettarinfo(arcname=stored_as, fileobj=file)
        # tarfile would store a second hard link of a file as a link, which `unpack` ignores.
        entry.type = tarfile.REGTYPE
        entry.size = status.st_size
        archive.addfile(entry, file)
    return status.st_size


def unpack(archive_bytes: bytes, directory: Path, *, driver: str) -> SavedSession | None:
    """Extract the files into the directory, which is empty.

    Returns None, and writes nothing, if the archive is another driver's, too large or not a session archive.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive_bytes), mode="r:gz") as archive:
            first = archive.next()
            content = archive.extractfile(first) if first and first.name == _MANIFEST and first.isfile() else None
            if content is None:
                return None
            manifest = json.loads(content.read(65536))
            if manifest["driver"] != driver:
                return None
            saved = SavedSession(round=int(manifest["round"]), head_sha=str(manifest["headSha"]))
            members = [it for it in archive if it.isfile() and it.name.startswith(_FOLDER)]
            if sum(member.size for member in members) > MOST_UNPACKED_BYTES:
                return None
            for member in members:
                member.name = member.name.removeprefix(_FOLDER)
            # The filter refuses absolute paths, `..` and everything else that would leave the directory.
            archive.extractall(directory, members, filter="data")
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        return None
    return saved
