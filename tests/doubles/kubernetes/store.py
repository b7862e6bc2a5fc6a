"""What the cluster holds: objects with versions, the log that watches follow, label selectors."""

from __future__ import annotations

import copy
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.doubles.kubernetes.apply import Path

Object = dict[str, Any]
Key = tuple[str, str, str]
"""(plural, namespace or empty, name)"""


def now_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """Hold `lock` for whatever reads and then writes."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.objects: dict[Key, Object] = {}
        self._by_kind: defaultdict[str, dict[Key, Object]] = defaultdict(dict)
        self.owners: dict[Key, dict[str, set[Path]]] = {}
        self.version = 100
        self.log: list[tuple[int, str, Key, Object]] = []

    def get(self, plural: str, namespace: str, name: str) -> Object | None:
        return self.objects.get((plural, namespace, name))

    def all(self, plural: str, namespace: str | None = None, selector: str = "") -> list[Object]:
        # Tests look, too, while the controllers write.
        with self.lock:
            found = self._by_kind[plural]
            keys = sorted(key for key in found if namespace is None or key[1] == namespace)
            return [found[key] for key in keys if not selector or matches(found[key], selector)]

    def put(self, plural: str, thing: Object) -> Object:
        """Write an object. A changed spec raises its generation; one that is the same is left as it is.

        So do changed annotations, of a Deployment (pkg/registry/apps/deployment/strategy.go, PrepareForUpdate).
        """
        about = thing["metadata"]
        key = (plural, about.get("namespace", ""), about["name"])
        with self.lock:
            old = self.objects.get(key)
            if old is not None and _without_version(old) == _without_version(thing):
                return old
            self.version += 1
            if old is None:
                about["uid"] = str(uuid.uuid4())
                about["creationTimestamp"] = now_text()
                about["generation"] = 1
            elif old.get("spec") != thing.get("spec") or (plural == "deployments" and _notes(old) != _notes(thing)):
                about["generation"] = old["metadata"]["generation"] + 1
            about["resourceVersion"] = str(self.version)
            self.objects[key] = self._by_kind[plural][key] = thing
            self._note("ADDED" if old is None else "MODIFIED", key, thing)
            return thing

    def update(self, plural: str, thing: Object, change: Callable[[Object], None]) -> None:
        changed = copy.deepcopy(thing)
        change(changed)
        self.put(plural, changed)

    def report(self, plural: str, thing: Object, status: Object) -> None:
        """Write an object's status. Cheap where it is the same: controllers do this at every tick."""
        if thing.get("status") != status:
            self.put(plural, {**thing, "metadata": dict(thing["metadata"]), "status": status})

    def remove(self, plural: str, namespace: str, name: str) -> Object | None:
        """Take an object away, and everything that it owns."""
        with self.lock:
            gone = self.objects.pop((plural, namespace, name), None)
            self._by_kind[plural].pop((plural, namespace, name), None)
            self.owners.pop((plural, namespace, name), None)
            if gone is None:
                return None
            self.version += 1
            self._note("DELETED", (plural, namespace, name), gone)
            for key, other in list(self.objects.items()):
                if any(
                    owner["uid"] == gone["metadata"]["uid"] for owner in other["metadata"].get("ownerReferences", [])
                ):
                    self.remove(*key)
            return gone

    def _note(self, kind: str, key: Key, thing: Object) -> None:
        self.log.append((self.version, kind, key, copy.deepcopy(thing)))
        self.changed.notify_all()


def matches(thing: Object, selector: str) -> bool:
    """Whether an object carries what a selector asks for: `a=b`, `a!=b`, `a` and `!a`, comma-separated."""
    labels = thing["metadata"].get("labels", {})
    for term in filter(None, selector.split(",")):
        if "!=" in term:
            name, value = term.split("!=")
            if labels.get(name) == value:
                return False
        elif "=" in term:
            name, value = term.replace("==", "=").split("=")
            if labels.get(name) != value:
                return False
        elif term.startswith("!") == (term.lstrip("!") in labels):
            return False
    return True


def is_chosen(thing: Object, query: Mapping[str, str]) -> bool:
    """Whether a list or a watch with this query has the object: by its labels, and by its own name."""
    wanted = query.get("fieldSelector", "")
    assert not wanted or wanted.startswith("metadata.name="), f"the double knows no fieldSelector {wanted}"
    is_named = not wanted or wanted == f"metadata.name={thing['metadata']['name']}"
    return is_named and matches(thing, query.get("labelSelector", ""))


def _notes(thing: Object) -> Object:
    return thing["metadata"].get("annotations") or {}


def _without_version(thing: Object) -> Object:
    about = {name: value for name, value in thing["metadata"].items() if name not in {"resourceVersion", "generation"}}
    return thing | {"metadata": about}
