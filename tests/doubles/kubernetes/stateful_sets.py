"""The controller of StatefulSets: pods with names that stay. Volumes are not modelled: a node keeps what it keeps."""

from __future__ import annotations

import copy
import hashlib
import json

from tests.doubles.kubernetes.store import Object, Store

REVISION = "controller-revision-hash"


def keep_pods(store: Store, stateful: Object) -> None:
    """One step towards as many pods as it wants: missing ones are made, those of an older template begin anew."""
    about, spec = stateful["metadata"], stateful["spec"]
    mark = hashlib.sha256(json.dumps(spec["template"], sort_keys=True).encode()).hexdigest()[:10]
    revision = f"{about['name']}-{mark}"
    wanted = {f"{about['name']}-{number}" for number in range(spec.get("replicas", 1))}
    pods = {one["metadata"]["name"]: one for one in _pods_of(store, stateful)}
    for name, pod in pods.items():
        if name not in wanted or pod["metadata"]["labels"][REVISION] != revision:
            store.remove("pods", about["namespace"], name)
    for name in sorted(wanted - set(pods)):
        store.put("pods", _pod(stateful, name, revision))
    ready = [one for one in pods.values() if _is_ready(one)]
    status = {
        "replicas": len(pods), "readyReplicas": len(ready), "availableReplicas": len(ready),
        "currentRevision": revision, "updateRevision": revision, "updatedReplicas": len(pods),
        "observedGeneration": about["generation"],
    }  # fmt: skip
    store.report("statefulsets", stateful, status)


def _pods_of(store: Store, stateful: Object) -> list[Object]:
    uid = stateful["metadata"]["uid"]
    return [
        pod
        for pod in store.all("pods", stateful["metadata"]["namespace"])
        if any(one["uid"] == uid for one in pod["metadata"].get("ownerReferences", []))
    ]


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _pod(stateful: Object, name: str, revision: str) -> Object:
    about, template = stateful["metadata"], copy.deepcopy(stateful["spec"]["template"])
    owner = {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": about["name"], "uid": about["uid"], "controller": True
    }  # fmt: skip
    named = {
        "name": name, "namespace": about["namespace"], "ownerReferences": [owner],
        "labels": template["metadata"]["labels"] | {REVISION: revision, "statefulset.kubernetes.io/pod-name": name},
    }  # fmt: skip
    return {"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": template["spec"], "status": {}}
