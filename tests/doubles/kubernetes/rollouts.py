"""How a Deployment moves its pods from older replica sets to its newest one (maxSurge 1, maxUnavailable 0)."""

from __future__ import annotations

import copy
from typing import NamedTuple

from tests.doubles.kubernetes.store import Object

REVISION = "deployment.kubernetes.io/revision"


class Pods(NamedTuple):
    """Of one replica set."""

    there: int
    available: int


def step(wanted: int, new: Pods, old: list[Pods]) -> tuple[int, list[int]]:
    """How many pods the newest set and each older one are to have next."""
    before = sum(one.there for one in old)
    fresh = min(wanted, new.there + max(0, wanted + 1 - before - new.there))
    # What is old stays until others are available. What is not available itself goes first.
    spare = before + fresh - wanted - max(0, fresh - new.available)
    surplus = new.available + sum(one.available for one in old) - wanted
    kept = []
    for one in old:
        idle = max(0, min(spare, one.there - one.available))
        serving = max(0, min(surplus, one.available))
        spare, surplus = spare - idle, surplus - serving
        kept.append(one.there - idle - serving)
    return fresh, kept


def owner_of(thing: Object, kind: str) -> Object:
    about = thing["metadata"]
    return {"apiVersion": "v1", "kind": kind, "name": about["name"], "uid": about["uid"], "controller": True}


def replica_set(deployment: Object, name: str, mark: str) -> Object:
    template = copy.deepcopy(deployment["spec"]["template"])
    template["metadata"].setdefault("labels", {})["pod-template-hash"] = mark
    about = {
        "name": name,
        "namespace": deployment["metadata"]["namespace"],
        "labels": dict(template["metadata"]["labels"]),
        "annotations": {REVISION: "0"},
        "ownerReferences": [owner_of(deployment, "Deployment")],
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"pod-template-hash": mark}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": about, "spec": spec}
