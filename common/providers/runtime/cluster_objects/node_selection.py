"""Node selection and runtime class of pods, from the settings; the same for apps, checks and agents."""

from __future__ import annotations

from common.providers.runtime.cluster_objects.types import KubeObject
from common.settings import KubernetesSettings


def placement(chosen: KubernetesSettings) -> KubeObject:
    """Return the scheduling fields of a pod's spec; empty if the settings leave scheduling to the cluster."""
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
