"""Keeps the folders that a project's setup command fills, such as node_modules, for later clones on this machine.

A clone gets a copy, so no run can change what another one gets. A cache is found by the digest of the setup command and
of the lock files beside and above its folders; it is never changed, only replaced by another digest's. Who may write
one is decided by the caller: the supervisor lets only runs of approved commits write, so that a commit that nobody
has reviewed can't put anything into the clones in which later commits are tested. An agent has caches of its own.

    <directory>/<project id>/<digest>/manifest.json    <directory>/<project id>/<digest>/0 …: one for each folder
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.machine import disk
from common.machine.files import remove_tree, write_new
from common.values.json_codec import Malformed, decode, encode

MOST_BYTES = 2 * 2**30
"""Of all caches of a project."""
MOST_FILES = 500_000
OLDEST_SECONDS = 14 * 86400.0
"""A cache that was not used for so long is removed."""
COPY_SECONDS = 300
LONGEST_LOCK_BYTES = 32 * 2**20
MANIFEST = "manifest.json"
LOCK_FILES = (
    "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "package.json",
    "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "requirements.txt", "requirements.lock",
    "requirements-dev.txt", "pyproject.toml", "setup.py", "setup.cfg", "go.sum", "go.mod", "Cargo.lock",
    "Gemfile.lock", "composer.lock", "mix.lock", "pubspec.lock", "deno.lock", "gradle.lockfile", "pom.xml",
    "build.gradle", "build.gradle.kts", "packages.lock.json", "flake.lock", ".tool-versions", ".python-version",
    ".nvmrc", ".node-version", ".ruby-version",
)  # fmt: skip
"""Files that say what a setup command installs."""


@dataclass(frozen=True)
class _Manifest:
    """bytes, files: of the whole cache. A cache that holds something else is damaged."""

    paths: tuple[str, ...]
    bytes: int
    files: int


class Caches:
    """The caches in one directory. All methods block, and may be called in any thread for different projects."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def restore(self, project_id: str, key: str, paths: Sequence[str], code: Path) -> str | None:
        """Copy the cached folders into the checkout, in which no program runs yet.

        A folder that the commit itself has is left alone. Returns what was done in a sentence; None if there is no
        cache. A damaged cache is removed and counts as none. Old ones are removed, of whichever project.
        """
        try:
            return self._restore(project_id, key, paths, code)
        except OSError as error:
            return f"the cache could not be read: {error.strerror}"
        finally:
            self._remove_old()

    def _restore(self, project_id: str, key: str, paths: Sequence[str], code: Path) -> str | None:
        kept = self._directory / project_id / key
        manifest = _read_manifest(kept)
        if manifest is None or _measure(kept) != (manifest.bytes, manifest.files) or manifest.paths != tuple(paths):
            _remove(kept)
            return None
        os.utime(kept)  # for _make_room
        restored = []
        for number, path in enumerate(paths):
            if (kept / str(number)).is_dir() and (target := _free_target(code, path)):
                if not _copied(kept / str(number), target):
                    _remove(target)
                    return f"the cached folder {path} could not be copied; going on without it"
                restored.append(path)
        return f"restored from the cache: {', '.join(restored)}" if restored else None

    def save(self, project_id: str, key: str, paths: Sequence[str], code: Path) -> str | None:
        """Keep these folders of the checkout, in which no program runs any more, unless there is such a cache.

        Returns why they were not kept, or that they were, in a sentence; None if there was nothing to do. Caches that
        are old, or too large together, are removed.
        """
        try:
            return self._save(project_id, key, paths, code)
        except OSError as error:
            return f"the folders could not be cached: {error.strerror}"

    def _save(self, project_id: str, key: str, paths: Sequence[str], code: Path) -> str | None:
        place = self._directory / project_id
        kept = place / key
        if kept.exists():
            return None
        found = {number: source for number, path in enumerate(paths) if (source := _folder_at(code, path))}
        if not found:
            return None
        sizes = [_measure(source) for source in found.values()]
        size = sum(one[0] for one in sizes)
        if size > MOST_BYTES or sum(one[1] for one in sizes) > MOST_FILES:
            return f"the folders are not cached: they are larger than {MOST_BYTES // 2**30} GiB or {MOST_FILES} files"
        self._make_room(place, size)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not disk.measure_disk(place, None).has_disk_space:
            return "the folders are not cached: the disk is almost full"
        new = place / f".new-{secrets.token_hex(4)}"
        new.mkdir(mode=0o700)
        try:
            if not all(_copied(source, new / str(number)) for number, source in found.items()):
                return "the folders could not be copied, so they are not cached"
            manifest = _Manifest(tuple(paths), *_measure(new))
            write_new(new / MANIFEST, json.dumps(encode(manifest)).encode(), is_synced=False)
            with contextlib.suppress(OSError):  # another run has just saved it
                new.rename(kept)
        finally:
            _remove(new)
        return f"cached: {', '.join(paths[number] for number in found)}"

    def forget(self, project_id: str) -> None:
        """Remove all caches of the project."""
        _remove(self._directory / project_id)

    def _remove_old(self) -> None:
        """Remove the old caches of all projects: an agent is not told that a project was deleted."""
        now = time.time()
        with contextlib.suppress(OSError):  # another thread has just removed one: the rest goes the next time
            for one in self._directory.glob("*/*"):
                if now - one.stat().st_mtime > OLDEST_SECONDS:
                    _remove(one)

    def _make_room(self, place: Path, size: int) -> None:
        """Remove what a killed save left, caches that are old, and the least recently used until `size` more fit."""
        now, known = time.time(), []
        for one in place.iterdir() if place.is_dir() else ():
            with contextlib.suppress(OSError):
                known.append((one.stat().st_mtime, one))
        left = MOST_BYTES - size
        for used_at, one in sorted(known, reverse=True):
            manifest = None if one.name.startswith(".") else _read_manifest(one)
            is_being_saved = one.name.startswith(".") and now - used_at < 2 * COPY_SECONDS
            left -= manifest.bytes if manifest else 0
            if not is_being_saved and (manifest is None or left < 0 or now - used_at > OLDEST_SECONDS):
                _remove(one)


def cache_key(code: Path, setup_command: str | None, paths: Sequence[str]) -> str:
    """The digest of everything that decides what the folders contain after the setup command, as far as is known."""
    folders = {parent for path in paths for parent in Path(path).parents}
    digest = hashlib.sha256(json.dumps([setup_command, list(paths)]).encode())
    for folder in sorted(folders):
        for name in LOCK_FILES:
            if (content := _read_lock(code, folder / name)) is not None:
                digest.update(f"\0{folder / name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]


def _read_lock(code: Path, path: Path) -> bytes | None:
    """The content of a regular file; None if there is none. Symbolic links are not followed."""
    if _folder_at(code, str(path.parent)) is None:
        return None
    try:
        descriptor = os.open(code / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(LONGEST_LOCK_BYTES) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def _folder_at(code: Path, path: str) -> Path | None:
    """The folder at this path of the checkout; None if there is none, or if a part of the path is a symbolic link."""
    place = code
    for part in Path(path).parts:
        place = place / part
        try:
            if not stat.S_ISDIR(place.lstat().st_mode):
                return None
        except OSError:
            return None
    return place


def _free_target(code: Path, path: str) -> Path | None:
    """Where to put a cached folder, with its parents made; None if something is there, or a parent is no folder.

    Nothing is made behind a symbolic link of the commit, which may lead out of the checkout.
    """
    *parents, name = Path(path).parts
    place = code
    for part in parents:
        place = place / part
        if not os.path.lexists(place):
            place.mkdir()
        elif not stat.S_ISDIR(place.lstat().st_mode):
            return None
    target = place / name
    return None if os.path.lexists(target) else target


def _copied(source: Path, target: Path) -> bool:
    """Copy a folder without following links; on file systems that can share blocks, no content is written."""
    command = ["cp", "-a", "--reflink=auto", "--", str(source), str(target)]
    try:
        return subprocess.run(command, capture_output=True, timeout=COPY_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _measure(folder: Path) -> tuple[int, int]:
    """(bytes, files) of everything below the folder except a manifest at its top. Stops above the limits."""
    size = count = 0
    for entry in _entries(folder):
        if entry.path == str(folder / MANIFEST):
            continue
        count += 1
        size += entry.stat(follow_symlinks=False).st_size if entry.is_file(follow_symlinks=False) else 0
        if size > MOST_BYTES or count > MOST_FILES:
            break
    return size, count


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    waiting = [str(folder)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as found:
            for entry in found:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def _read_manifest(kept: Path) -> _Manifest | None:
    try:
        return decode(_Manifest, json.loads((kept / MANIFEST).read_bytes()))
    except (OSError, ValueError, Malformed):
        return None


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        remove_tree(path)
