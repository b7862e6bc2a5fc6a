"""Which nodes take a pod, and by which runtime it runs there: as set, for apps, checks and agents alike."""

from __future__ import annotations

from common.providers.runtime.objects import KubeObject
from common.settings import KubernetesSettings


def placement(chosen: KubernetesSettings) -> KubeObject:
    """The part of a pod's spec that says so; empty where the cluster is to decide."""
    made: KubeObject = {}
    if chosen.runtime_class:
        made["runtimeClassName"] = chosen.runtime_class
    if chosen.nodes:
        made["nodeSelector"] = dict(chosen.nodes)
    if chosen.tolerations:
        made["tolerations"] = [
            {"key": one.key}
            | ({"operator": "Exists"} if one.value is None else {"operator": "Equal", "value": one.value})
            | ({} if one.effect is None else {"effect": one.effect})
            for one in chosen.tolerations
        ]
    return made
