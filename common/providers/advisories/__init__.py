"""Advisories about packages, which the operator provides as files in the OSV format (https://ossf.github.io/osv-schema/).

Nothing is fetched. Each process reads the files once, and again after they changed. It keeps only the advisories of
ecosystems that were asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from common.errors import ProviderUnavailable
from common.providers.advisories.entries import Entry, entries_of
from common.providers.advisories.files import Signature, documents, signature
from common.values.testing.packages import Package

MOST_KEPT = 500_000
"""Of one ecosystem; the largest that is published, npm, has about 250,000. One takes about 500 bytes of memory."""


class Advisories:
    """The advisories at a path. Safe to use from several threads."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._signature: Signature | None = None
        self._entries: dict[str, dict[str, list[Entry]]] = {}
        self._fault: str | None = None

    def read_advisories(self, packages: Collection[Package]) -> dict[Package, list[Entry]]:
        """The advisories that are about these very versions; packages without one are left out.

        Raises ProviderUnavailable, one line, if a file can't be read as OSV: then nothing is known.
        """
        with self._lock:
            self._load({package.ecosystem for package in packages})
            found = {package: self._about(package) for package in packages}
        return {package: entries for package, entries in found.items() if entries}

    def _about(self, package: Package) -> list[Entry]:
        about = self._entries[package.ecosystem].get(package.name, ())
        matching = [entry for entry in about if entry.affects(package)]
        known: set[str] = set()
        kept = []
        # The same fault is often published twice, each naming the other as its alias.
        for entry in sorted(matching, key=lambda entry: entry.advisory_id):
            if known.isdisjoint({entry.advisory_id, *entry.aliases}):
                kept.append(entry)
            known |= {entry.advisory_id, *entry.aliases}
        return kept

    def _load(self, ecosystems: set[str]) -> None:
        now = signature(self._source)
        if now != self._signature:
            self._signature, self._entries, self._fault = now, {}, None
        if self._fault is None and (missing := ecosystems - self._entries.keys()):
            try:
                self._entries |= _read(self._source, missing)
            except ValueError as error:
                self._fault = f"the advisories of AIWORKER_ADVISORIES can't be read: {error}"
        if self._fault is not None:
            raise ProviderUnavailable(self._fault)


def _read(source: Path, ecosystems: Iterable[str]) -> dict[str, dict[str, list[Entry]]]:
    """Raises ValueError, which names the file."""
    found: dict[str, dict[str, list[Entry]]] = {ecosystem: {} for ecosystem in ecosystems}
    count = 0
    for place, document in documents(source):
        try:
            for ecosystem, name, entry in entries_of(document):
                if ecosystem in found:
                    found[ecosystem].setdefault(name, []).append(entry)
                    count += 1
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
        if count > MOST_KEPT:
            raise ValueError(f"{source} has more than {MOST_KEPT} advisories of {', '.join(sorted(found))}")
    return found


def examine(source: Path) -> tuple[int, Mapping[str, int]]:
    """How many advisories there are, and how many of each ecosystem. Raises ProviderUnavailable as reading does."""
    counts: dict[str, int] = {}
    total = 0
    try:
        for place, document in documents(source):
            total += 1
            try:
                for ecosystem in {ecosystem for ecosystem, _name, _entry in entries_of(document)}:
                    counts[ecosystem] = counts.get(ecosystem, 0) + 1
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from error
    except ValueError as error:
        raise ProviderUnavailable(f"the advisories of AIWORKER_ADVISORIES can't be read: {error}") from error
    return total, counts


_shared: dict[Path, Advisories] = {}


def advisories(source: Path) -> Advisories:
    """The advisories at a path, shared by the process."""
    return _shared.setdefault(source, Advisories(source))
