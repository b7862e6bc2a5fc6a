"""Server-side apply: who owns which field, conflicts, and what a manager no longer names is removed.

Lists of objects are merged by the key that Kubernetes merges them by; every other list is one value.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

MERGE_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("port", "containerPort"),
    "conditions": ("type",),
}
IDENTITY = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}

Path = tuple[Any, ...]


class ApplyConflict(Exception):
    """Fields that another manager owns with another value."""

    def __init__(self, fields: list[tuple[str, Path]]) -> None:
        self.causes = [(manager, ".".join(str(part) for part in path)) for manager, path in fields]
        super().__init__("; ".join(f'conflict with "{manager}": .{field}' for manager, field in self.causes))


def apply(
    current: dict[str, Any] | None,
    manifest: dict[str, Any],
    owners: Mapping[str, set[Path]],
    *,
    manager: str,
    force: bool,
) -> tuple[dict[str, Any], dict[str, set[Path]]]:
    """The merged object and the new owners."""
    wanted = {path: value for path, value in flat(manifest).items() if path not in IDENTITY}
    merged = copy.deepcopy(current) if current is not None else {}
    present = flat(merged)
    conflicts = [
        (other, path)
        for other, paths in owners.items()
        if other != manager
        for path in paths & wanted.keys()
        if present.get(path) != wanted[path]
    ]
    if conflicts and not force:
        raise ApplyConflict(conflicts)
    others = {other: paths - {path for _, path in conflicts} for other, paths in owners.items() if other != manager}
    for path in owners.get(manager, set()) - wanted.keys():
        if not any(path in paths for paths in others.values()):
            _remove(merged, path)
    for path in IDENTITY:
        if (value := _at(manifest, path)) is not None:
            _set(merged, path, value)
    for path, value in wanted.items():
        _set(merged, path, value)
    return merged, others | {manager: set(wanted)}


def flat(thing: Any, path: Path = (), field: str = "") -> dict[Path, Any]:
    """Every leaf of an object by its path. An item of a merged list is the part `(key, value)` of a path."""
    if isinstance(thing, dict) and thing:
        leaves: dict[Path, Any] = {}
        for key, value in thing.items():
            leaves |= flat(value, (*path, key), key)
        return leaves
    key = _merge_key(field, thing)
    if key is not None:
        leaves = {}
        for item in thing:
            leaves |= flat(item, (*path, (key, item[key])), "")
        return leaves
    return {path: thing}


def _merge_key(field: str, thing: Any) -> str | None:
    if not isinstance(thing, list) or not thing:
        return None
    for key in MERGE_KEYS.get(field, ()):
        if all(isinstance(item, dict) and key in item for item in thing):
            return key
    return None


def _at(thing: Any, path: Path) -> Any:
    for part in path:
        thing = thing.get(part) if isinstance(thing, dict) else None
    return thing


def _set(thing: Any, path: Path, value: Any) -> None:
    for number, part in enumerate(path):
        is_last = number == len(path) - 1
        if isinstance(part, tuple):
            found = next((item for item in thing if item.get(part[0]) == part[1]), None)
            if found is None:
                found = {part[0]: part[1]}
                thing.append(found)
            thing = found
            continue
        if is_last:
            # An empty object owns itself, not what others have in it.
            if value != {} or not thing.get(part):
                thing[part] = copy.deepcopy(value)
            return
        following: Any = [] if isinstance(path[number + 1], tuple) else {}
        if not isinstance(thing.get(part), type(following)):
            thing[part] = following
        thing = thing[part]


def _remove(thing: Any, path: Path) -> None:
    trail = []
    for part in path[:-1]:
        trail.append((thing, part))
        if isinstance(part, tuple):
            thing = next((item for item in thing if item.get(part[0]) == part[1]), None)
        else:
            thing = thing.get(part) if isinstance(thing, dict) else None
        if thing is None:
            return
    # An item keeps what it is merged by as long as it has anything else.
    is_merge_key = len(path) > 1 and isinstance(path[-2], tuple) and path[-2][0] == path[-1]
    if isinstance(thing, dict) and not is_merge_key:
        thing.pop(path[-1], None)
    for parent, part in reversed(trail):
        if isinstance(part, tuple):
            parent[:] = [item for item in parent if item.get(part[0]) != part[1] or set(item) - {part[0]}]
        elif not parent.get(part):
            parent.pop(part, None)
        else:
            return
