"""A driver's session directory as bytes, so that any agent can take a waiting task up again.

A gzipped tar: `manifest.json` first (whose it is, of which round, at which commit), then the directory's files below
`session/`. Reading takes nothing from the archive on trust: it may come from another agent.
"""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from pathlib import Path

from workers.runner.drivers.protocol import SavedSession

_MANIFEST = "manifest.json"
_FOLDER = "session/"
MOST_UNPACKED_BYTES = 256 * 2**20


def pack(directory: Path, *, driver: str, round_number: int, head_sha: str) -> bytes:
    """The directory's regular files and the manifest; symbolic links and special files are left out."""
    manifest = json.dumps({"driver": driver, "round": round_number, "headSha": head_sha}).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo(_MANIFEST)
        entry.size = len(manifest)
        archive.addfile(entry, io.BytesIO(manifest))
        for path in sorted(directory.rglob("*")):
            if path.is_file() and not path.is_symlink():
                archive.add(path, _FOLDER + path.relative_to(directory).as_posix(), recursive=False)
    return buffer.getvalue()


def unpack(archive_bytes: bytes, directory: Path, *, driver: str) -> SavedSession | None:
    """Put the files into the directory, which is empty.

    None, and nothing written, where the archive is another driver's or none of ours at all.
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
            # The filter refuses absolute paths, `..` and whatever else would leave the directory.
            archive.extractall(directory, members, filter="data")
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        return None
    return saved
