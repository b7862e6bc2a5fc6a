"""Archives of a driver's session, so that any agent can continue a waiting task.

A gzipped tar: `manifest.json` first (driver, the program's own session, round, head commit), then files below
`session/`: those of the scripted driver's session directory, or those below a program's home that it needs to resume.
The archive is not trusted when it is read, because it may come from another agent.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import io
import itertools
import json
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePath

from common.errors import ProviderRefused
from workers.runner.drivers.protocol import SavedSession
from workers.runner.platform_client.client import MOST_SESSION_BYTES
from workers.runner.workspace.files import new_file_inside

_MANIFEST = "manifest.json"
_FOLDER = "session/"
_EVERYTHING = ("**",)
MOST_UNPACKED_BYTES = 256 * 2**20
MOST_FILES = 50_000
_LARGEST_HEADER_BYTES = 2**20
"""Of one file. tarfile reads it at once, whatever size it names."""
_LARGEST_TAR_BYTES = MOST_UNPACKED_BYTES + MOST_FILES * 4096
"""With the headers that `pack` writes."""
_DEEPEST = 100
"""Levels of folders that are looked into. os.fwalk calls itself, and keeps a descriptor open, for each."""


def pack(
    directory: Path,
    *,
    driver: str,
    round_number: int,
    head_sha: str,
    kept: Sequence[str] = _EVERYTHING,
    program_session: str | None = None,
) -> bytes:
    """Return an archive of the directory's regular files; left out are symbolic links, special files, and what lies
    deeper than any program puts it.

    kept: patterns of the files and folders to take, `**` for any number of folders. program_session: the id with which
    the program resumes it. Each file is checked by the open descriptor that it is read from, because a process of the
    agent may replace the file meanwhile. Raises ProviderRefused (`session_too_large`) if the archive would be larger
    than the platform stores, or the files larger or more than `unpack` accepts; OSError if a file shrinks meanwhile.
    """
    manifest = {"driver": driver, "round": round_number, "headSha": head_sha, "session": program_session}
    content = json.dumps(manifest).encode()
    buffer = _Bounded()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo(_MANIFEST)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
        left_bytes, left_files = MOST_UNPACKED_BYTES, MOST_FILES
        wanted = [PurePath(pattern).parts for pattern in kept]
        for place, folders, names, descriptor in os.fwalk(directory, follow_symlinks=False):
            here = Path(place).relative_to(directory)
            folders[:] = [name for name in sorted(folders) if _is_wanted((here / name).parts, wanted, is_folder=True)]
            if len(here.parts) == _DEEPEST:
                folders.clear()
            for name in sorted(names):
                path = here / name
                if _is_wanted(path.parts, wanted):
                    left_files -= 1
                    if left_files < 0:
                        raise ProviderRefused(f"the session has more than {MOST_FILES} files", code="session_too_large")
                    left_bytes -= _add(archive, _FOLDER + path.as_posix(), name, descriptor, left_bytes)
    return buffer.getvalue()


def no_session() -> bytes:
    """Return an archive that no driver resumes, to take the place of an outdated one."""
    return pack(Path(os.devnull), driver="", round_number=0, head_sha="")


class _Bounded(io.BytesIO):
    """A buffer that refuses to become larger than what the platform stores."""

    def write(self, content: bytes, /) -> int:  # type: ignore[override]
        if self.tell() + len(content) > MOST_SESSION_BYTES:
            limit = MOST_SESSION_BYTES // 2**20
            raise ProviderRefused(f"the session is larger than {limit} MiB when packed", code="session_too_large")
        return super().write(content)


def _is_wanted(path: Sequence[str], patterns: Sequence[Sequence[str]], *, is_folder: bool = False) -> bool:
    """Whether a pattern takes the path, or a folder above it. is_folder: or may take something in it."""
    return any(_takes(pattern, path, is_folder) for pattern in patterns)


def _takes(pattern: Sequence[str], path: Sequence[str], is_folder: bool) -> bool:
    if not pattern:
        return True
    if not path:
        return is_folder
    if pattern[0] == "**":
        return _takes(pattern[1:], path, is_folder) or _takes(pattern, path[1:], is_folder)
    return fnmatch.fnmatchcase(path[0], pattern[0]) and _takes(pattern[1:], path[1:], is_folder)


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


class _Tar(gzip.GzipFile):
    """The uncompressed content of an archive. Raises OSError for what no archive of `pack` has, so that a small one
    takes neither memory nor time without bounds.
    """

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_HEADER_BYTES:
            raise OSError("the archive has a header that is too large")
        return super().read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset > _LARGEST_TAR_BYTES:
            raise OSError("the archive is too large")
        return super().seek(offset, whence)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    """Write a file with its time. Raises OSError, also for absolute paths, `..` and all else that leads elsewhere."""
    content = archive.extractfile(member)
    if content is None:
        return
    with content, new_file_inside(directory, member.name.removeprefix(_FOLDER)) as file:
        shutil.copyfileobj(content, file)
        file.flush()
        with contextlib.suppress(OverflowError):
            os.utime(file.fileno(), (member.mtime, member.mtime))


def unpack(archive_bytes: bytes, directory: Path, *, driver: str) -> SavedSession | None:
    """Extract the files into the directory, in place of what is there; no program may be running in it.

    Returns None, and writes nothing, if the archive is another driver's, too large or not a session archive; also None
    if a link or a folder is in the way. No link is followed: the project's setup command may have left anything there.
    """
    try:
        unpacked = _Tar(fileobj=io.BytesIO(archive_bytes), mode="rb")
        with unpacked, tarfile.open(fileobj=unpacked, mode="r:") as archive:
            first = archive.next()
            content = archive.extractfile(first) if first and first.name == _MANIFEST and first.isfile() else None
            if content is None:
                return None
            manifest = json.loads(content.read(65536))
            if manifest["driver"] != driver:
                return None
            program_session = manifest.get("session")
            saved = SavedSession(
                round=int(manifest["round"]),
                head_sha=str(manifest["headSha"]),
                program_session=None if program_session is None else str(program_session),
            )
            entries = list(itertools.islice(archive, MOST_FILES + 2))
            members = [it for it in entries if it.isfile() and it.name.startswith(_FOLDER)]
            if len(entries) > MOST_FILES + 1 or sum(member.size for member in members) > MOST_UNPACKED_BYTES:
                return None
            for member in members:
                _extract(archive, member, directory)
    except (
        tarfile.TarError, OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError,
        RecursionError,
    ):  # fmt: skip
        return None
    return saved
