"""What the workspace of a project needs before work begins in it: a setup command, cached folders, and databases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from common.values.constraints import Command, Matches

MOST_CACHE_PATHS = 20
LONGEST_CACHE_PATH = 200
SETUP_SECONDS = 900.0
"""How long a setup command may take, in addition to the time limit of what it prepares."""

_CACHE_PATH = re.compile(r"[^\0-\x1f\x7f\\/]+(?:/[^\0-\x1f\x7f\\/]+)*")
_VERSION = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){0,2}")


class ServiceKind(StrEnum):
    POSTGRESQL = "postgresql"
    MARIADB = "mariadb"
    REDIS = "redis"


def cache_path_fault(path: str) -> str | None:
    """Why this can't be a cached folder; None if it can: a folder inside the clone, not in git's own."""
    if len(path) > LONGEST_CACHE_PATH or not _CACHE_PATH.fullmatch(path):
        return f"Must be a folder relative to the repository, of at most {LONGEST_CACHE_PATH} characters"
    parts = path.split("/")
    if any(part in {".", ".."} for part in parts):
        return "Must not contain the parts . or .."
    if any(part.casefold() == ".git" for part in parts):
        return "Must not be in .git"
    return None


def version_fault(version: str) -> str | None:
    """Why this can't be a service's version; None if it can."""
    return None if _VERSION.fullmatch(version) else "Must be a version such as 16 or 10.11"


def nested_path(paths: Iterable[str]) -> str | None:
    """The first of these paths that is another one or lies inside it; None if there is none."""
    known: set[str] = set()
    for path in sorted(paths):
        parts = path.split("/")
        if any("/".join(parts[:count]) in known for count in range(1, len(parts) + 1)):
            return path
        known.add(path)
    return None


@dataclass(frozen=True)
class _IsCachePath(Matches):
    def problem(self, value: object) -> str | None:
        fault = cache_path_fault(value) if isinstance(value, str) else "Must be a text"
        return f"{str(value)[:100]!r}: {fault}" if fault else None


CachePath = Annotated[str, _IsCachePath(_CACHE_PATH, "a folder in the clone")]
ServiceVersion = Annotated[str, Matches(_VERSION, "a version such as 16 or 10.11")]


@dataclass(frozen=True)
class ServiceNeed:
    """A database server of its own. version: its first parts, such as `16`; None: any version."""

    kind: ServiceKind
    version: ServiceVersion | None = None

    @property
    def label(self) -> str:
        """Such as `postgresql 16`."""
        return f"{self.kind} {self.version}" if self.version else str(self.kind)


@dataclass(frozen=True)
class Needs:
    """setup_command: run in the clone before anything else; None: nothing to do. cache_paths: folders of the clone
    that are kept between clones. services: at most one of a kind.

    may_save_cache: whether this run may write the project's caches: only runs of approved commits may, so that code
    that nobody has reviewed can't put anything into the clone of a later check.
    """

    setup_command: Command | None = None
    cache_paths: tuple[CachePath, ...] = ()
    services: tuple[ServiceNeed, ...] = ()
    may_save_cache: bool = False


def services_of(stored: Iterable[Mapping[str, object]]) -> tuple[ServiceNeed, ...]:
    """The services from the form in which the API shows them and the project's row stores them."""
    return tuple(
        ServiceNeed(ServiceKind(str(one["kind"])), None if one.get("version") is None else str(one["version"]))
        for one in stored
    )
