"""Copies of the local forge's repositories, taken while they are in use.

What changes in place (refs, HEAD, records) is small and read at once, by `pin`. Objects are only ever added, or packed
anew (see git.environment), so they are copied afterwards without haste: whatever the refs named is still there. So are
the statuses of commits, of which there is a file for each tested commit, and none is ever removed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.errors import ProviderUnavailable
from common.machine.git.leftover_locks import UNFINISHED
from common.providers.forge import git

CHECK_SECONDS = 600.0
_TRIES = 20
"""How often a repository is looked through anew because git packed it meanwhile. Each time finds larger packs."""
_RECORDS = "aiworker/"
"""The folder of the platform's own files.

Their lock files are named `lock` (common/providers/forge/local/records.py).
"""
_STATUSES = "aiworker/statuses"
_DERIVED = ("multi-pack-index", "commit-graph")
"""Files of these names are made from others, and would refer to packs of another moment."""


@dataclass(frozen=True)
class PinnedRepository:
    """A repository as it is at one moment. small_files: content of each file that is no object and holds no
    statuses, by its path inside.
    """

    path: Path
    owner: str
    name: str
    small_files: dict[str, bytes]


def pin(root: Path) -> list[PinnedRepository]:
    """Read the refs and records of every repository of the forge at `root`. Takes a moment."""
    pinned = []
    for path in sorted(root.glob("[!.]*/[!.]*.git")):
        small = _small_files(path)
        if "HEAD" in small:  # else it has just been removed
            pinned.append(PinnedRepository(path, path.parent.name, path.name, small))
    return pinned


def _small_files(path: Path) -> dict[str, bytes]:
    # packed-refs last: git writes a ref there before it removes the ref's own file.
    found: dict[str, bytes] = {}
    walked = [name for name in _walk(path, but="objects") if not name.startswith(f"{_STATUSES}/")]
    for name in sorted(walked, key=lambda name: (name == "packed-refs", name)):
        try:
            found[name] = (path / name).read_bytes()
        except FileNotFoundError:
            continue
    if "packed-refs" not in found:
        with contextlib.suppress(FileNotFoundError):
            found["packed-refs"] = (path / "packed-refs").read_bytes()
    return found


def status_files(repository: PinnedRepository) -> Iterator[tuple[str, Path]]:
    """Yield the path inside the repository, and the file, of the statuses of each commit as they are now.

    Newer than the pinned moment: as if a status had been set, and not recorded yet.
    """
    for path in sorted((repository.path / _STATUSES).glob("*.json")):
        yield f"{_STATUSES}/{path.name}", path


def object_files(repository: PinnedRepository) -> Iterator[tuple[str, Path]]:
    """Yield the path inside the repository, and the file, of all that its refs need, and perhaps newer objects.

    If a file has gone when the caller opens it, the caller goes on with the next one: git has packed the repository
    anew, and the new packs follow. Raises ProviderUnavailable if git never stops doing so, or if the repository was
    removed meanwhile.
    """
    given: set[str] = set()
    for _ in range(_TRIES):
        names = [name for name in _walk(repository.path / "objects") if not _is_passing(name)]
        for name in sorted(set(names) - given):
            given.add(name)
            yield f"objects/{name}", repository.path / "objects" / name
        if not (repository.path / "HEAD").exists():
            raise ProviderUnavailable(f"the repository {repository.name} was removed meanwhile")
        if all((repository.path / "objects" / name).exists() for name in names):
            return
    raise ProviderUnavailable(f"{repository.name} is packed anew again and again; try again later")


def _is_passing(name: str) -> bool:
    """Whether it is a file that git is still writing, or one that git can make anew."""
    parts = name.split("/")
    return any(part.startswith((*UNFINISHED, *_DERIVED)) for part in parts)


def _walk(path: Path, *, but: str = "") -> Iterator[str]:
    """Paths of the files below, without lock files. A branch may be named `lock`; no ref's name ends with `.lock`."""
    for place, directories, names in os.walk(path):
        if place == str(path) and but in directories:
            directories.remove(but)
        inside = os.path.relpath(place, path)
        for name in names:
            found = name if inside == "." else f"{inside}/{name}"
            if not name.endswith(".lock") and not (name == "lock" and found.startswith(_RECORDS)):
                yield found


def complete_copy(path: Path) -> None:
    """Make a copied repository usable, and check that it has every object that its refs need.

    The copy lacks folders that were empty, such as that of the statuses before the first one: they are made. Raises
    ProviderUnavailable or ProviderRefused if an object is missing.
    """
    for name in ("objects/info", "objects/pack", "refs/heads", "refs/tags", _STATUSES):
        (path / name).mkdir(parents=True, exist_ok=True)
    git.run(path, "fsck", "--connectivity-only", "--no-progress", "--no-dangling", timeout_seconds=CHECK_SECONDS)
