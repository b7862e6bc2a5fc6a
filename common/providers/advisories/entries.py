"""What one advisory says about one package, and whether a version is affected: the algorithm of the OSV schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from common.providers.advisories.versions import Comparable, version_key
from common.values.testing.packages import Package

LONGEST_SUMMARY = 200
_KINDS = ("introduced", "last_affected", "fixed", "limit")

Event = tuple[str, str]
"""(one of _KINDS, a version)"""


@dataclass(frozen=True, slots=True)
class Entry:
    """versions: affected ones, each after a line feed, as a tuple of texts takes eight times the memory. ranges: of
    versions, each a tuple of its events. summary: one line.
    """

    advisory_id: str
    summary: str
    aliases: tuple[str, ...]
    versions: str
    ranges: tuple[tuple[Event, ...], ...]

    def affects(self, package: Package) -> bool:
        """A version that can't be compared with a range counts as affected."""
        if f"\n{package.version}\n" in f"{self.versions}\n":
            return True
        key = version_key(package.ecosystem, package.version)
        listed = self.versions.splitlines()[1:]
        if key is not None and any(version_key(package.ecosystem, one) == key for one in listed):
            return True
        return any(_covers(one, key, package.ecosystem) for one in self.ranges)


def _covers(events: tuple[Event, ...], key: Comparable | None, ecosystem: str) -> bool:
    points: list[tuple[Comparable, int]] = []
    limits: list[Comparable] = []
    is_affected = False
    for kind, text in events:
        if kind == "introduced" and text == "0":
            is_affected = True
            continue
        if kind == "limit" and text == "*":
            continue
        point = version_key(ecosystem, text)
        if key is None or point is None:
            return True
        if kind == "limit":
            limits.append(point)
        else:
            points.append((point, _KINDS.index(kind)))
    if key is None:
        return is_affected
    for point, kind_number in sorted(points):
        kind = _KINDS[kind_number]
        if kind == "introduced" and key >= point:
            is_affected = True
        elif (kind == "fixed" and key >= point) or (kind == "last_affected" and key > point):
            is_affected = False
    return is_affected and (not limits or any(key < limit for limit in limits))


def entries_of(document: object) -> Iterator[tuple[str, str, Entry]]:
    """Yield (ecosystem, name, entry) for each package of an advisory. None for a withdrawn one.

    Raises ValueError, which names the field, for what is no advisory.
    """
    advisory = _mapping(document, "it")
    advisory_id = _text(advisory.get("id"), "id")
    if advisory.get("withdrawn") is not None:
        return
    summary = " ".join(str(advisory.get("summary") or advisory.get("details") or "").split())[:LONGEST_SUMMARY]
    aliases = tuple(_text(alias, "aliases") for alias in _list(advisory.get("aliases"), "aliases"))
    for affected in _list(advisory.get("affected"), "affected"):
        about = _mapping(affected, "affected")
        package = about.get("package")
        # Advisories about commits alone name no package.
        if package is None:
            continue
        named = _mapping(package, "affected.package")
        ecosystem = _text(named.get("ecosystem"), "affected.package.ecosystem").partition(":")[0]
        name = _text(named.get("name"), "affected.package.name")
        listed = _list(about.get("versions"), "affected.versions")
        versions = "".join(f"\n{_text(one, 'affected.versions')}" for one in listed)
        yield ecosystem, name_of(ecosystem, name), Entry(advisory_id, summary, aliases, versions, _ranges(about))


def _ranges(about: Mapping[str, object]) -> tuple[tuple[Event, ...], ...]:
    ranges = []
    for given in _list(about.get("ranges"), "affected.ranges"):
        one = _mapping(given, "affected.ranges")
        if one.get("type") == "GIT":
            continue
        events = []
        for given_event in _list(one.get("events"), "affected.ranges.events"):
            event = _mapping(given_event, "affected.ranges.events")
            events += [(kind, _text(event[kind], f"affected.ranges.events.{kind}")) for kind in _KINDS if kind in event]
        ranges.append(tuple(events))
    return tuple(ranges)


def name_of(ecosystem: str, name: str) -> str:
    """The name as its ecosystem compares names."""
    return canonicalize_name(name) if ecosystem == "PyPI" else name


def _mapping(value: object, field: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{field} is no object")
    return value


def _list(value: object, field: str) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{field} is no list")
    return value


def _text(value: object, field: str) -> str:
    if not isinstance(value, str) or not value or "\n" in value:
        raise ValueError(f"{field} is no text of one line")
    return value
