"""Follows the links of a commit: a file of tests, or one that defines how they run, may be a link to any other file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from posixpath import dirname, normpath
from typing import TypeGuard

from common.providers.forge import Entry

MOST_LINKS, MOST_PATHS, MOST_STEPS = 1000, 100_000, 10
_LINK = "120000"


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
