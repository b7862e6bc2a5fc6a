"""Orders versions as their ecosystems do: those of PyPI by PEP 440, all others by semantic versioning."""

from __future__ import annotations

import functools
from typing import Protocol, Self

import semver
from packaging.version import InvalidVersion, Version


class Comparable(Protocol):
    """A version among others of its ecosystem."""

    def __lt__(self, other: Self, /) -> bool: ...
    def __gt__(self, other: Self, /) -> bool: ...
    def __ge__(self, other: Self, /) -> bool: ...


@functools.lru_cache(maxsize=10_000)
def version_key(ecosystem: str, version: str) -> Comparable | None:
    """None for a version that its ecosystem does not order."""
    try:
        if ecosystem == "PyPI":
            return Version(version)
        return semver.Version.parse(version.removeprefix("v"), optional_minor_and_patch=True)
    except (InvalidVersion, ValueError):
        return None
