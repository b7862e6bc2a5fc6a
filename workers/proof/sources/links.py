"""Follows the links of a commit: a file of tests, or one that defines how they run, may be a link to any other file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from posixpath import dirname, normpath
from typing import TypeGuard

from common.errors import ProviderRefused
from common.providers.forge import Change, Entry, Forge
from common.values.repository import Repository

LARGEST_LISTING = 64 * 2**20
"""Bytes of the list of files of a commit: has room for the largest public repositories, with 400,000 files."""
MOST_LINKS, MOST_PATHS, MOST_STEPS = 1000, 100_000, 10
_LINK = "120000"


def linked_files(forge: Forge, repository: Repository, commit: str, changes: Sequence[Change]) -> list[Entry]:
    """The files that the new and changed links of these changes lead to in the commit, with their paths through these.

    Raises ProviderRefused (`diff_too_large`) if they can't be followed.
    """
    places = tuple(f"{change.after.path}/" for change in changes if is_link(change.after))
    if not places:
        return []
    listing = forge.list_files(repository, commit=commit, max_bytes=LARGEST_LISTING)
    if listing.is_truncated:
        raise ProviderRefused(f"the links of {commit} can't be followed", code="diff_too_large")

    def read(links: Sequence[Entry]) -> dict[str, bytes]:
        blobs = forge.read_blobs(repository, [link.object_id for link in links])
        contents = {blob.object_id: blob.content for blob in blobs}
        return {link.path: contents[link.object_id] for link in links if link.object_id in contents}

    files = {entry.path: entry for entry in listing.entries}
    found = paths_by_links(listing.entries, read)
    return [replace(files[real], path=path) for path, real in found.items() if f"{path}/".startswith(places)]


def paths_by_links(entries: Sequence[Entry], read: Callable[[Sequence[Entry]], Mapping[str, bytes]]) -> dict[str, str]:
    """By the paths that files also have by links: those that they are stored at. Links out of the commit lead to none.

    read: the contents of these entries, by their paths.
    """
    links = [entry for entry in entries if is_link(entry)][:MOST_LINKS]
    if not links:
        return {}
    targets = {path: _target(path, content) for path, content in read(links).items()}
    files = {entry.path for entry in entries if entry.is_file}
    folders = {folder for path in targets.values() for folder in (path, *_folders(path))}
    inside: dict[str, list[str]] = {}
    for path in files:
        for folder in folders.intersection(_folders(path)):
            inside.setdefault(folder, []).append(path)
    found: dict[str, str] = {}
    for link in sorted(targets):
        end = _end(link, targets)
        names = [end] if end in files else inside.get(end, ())
        for path in names:
            if len(found) < MOST_PATHS:
                found[f"{link}{path.removeprefix(end)}"] = path
    return found


def is_link(entry: Entry | None) -> TypeGuard[Entry]:
    return entry is not None and entry.mode == _LINK


def _target(link: str, content: bytes) -> str:
    """The path that the link names, from the root of the repository; empty if it is none in it."""
    named = content.decode("utf-8", "surrogateescape")
    path = normpath(f"{dirname(link)}/{named}" if dirname(link) else named)
    return "" if named.startswith("/") or path == "." or path.startswith("..") else path


def _end(path: str, targets: Mapping[str, str]) -> str:
    """Where this path leads to at last, through links in its folders, too."""
    for _ in range(MOST_STEPS):
        link = next((one for one in (path, *_folders(path)) if one in targets), None)
        if link is None:
            break
        path = f"{targets[link]}{path.removeprefix(link)}" if targets[link] else ""
    return path


def _folders(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))
