"""The objects that a cluster's API accepts and returns."""

from __future__ import annotations

from typing import Any, TypeAlias

KubeObject: TypeAlias = dict[str, Any]
"""An object as JSON. Only Kubernetes knows its shape, so it is not type-checked."""
OWNER_MANAGER = "aiworker-owner"
"""The field manager of `owned_by`."""


def is_being_deleted(thing: KubeObject) -> bool:
    return "deletionTimestamp" in thing["metadata"]


def is_owned(thing: KubeObject, by: KubeObject) -> bool:
    """Whether the object was made by this very one, and not by one of the same name that was deleted."""
    return any(owner["uid"] == by["metadata"]["uid"] for owner in thing["metadata"].get("ownerReferences", []))


def owned_by(owner: KubeObject, thing: KubeObject) -> KubeObject:
    """The manifest of `thing` with nothing but its owner, with which the cluster deletes it.

    For what nobody may be left to delete, such as the secrets of a Job, which the cluster deletes after its end.
    Applied by a field manager of its own, so that the rest of the thing stays.
    """
    named = {key: thing["metadata"][key] for key in ("name", "namespace")}
    reference = {key: owner[key] for key in ("apiVersion", "kind")}
    reference |= {key: owner["metadata"][key] for key in ("name", "uid")}
    about = named | {"ownerReferences": [reference]}
    return {key: thing[key] for key in ("apiVersion", "kind")} | {"metadata": about}


def revision(thing: KubeObject) -> int:
    """Return the rollout number that the deployment controller gave a Deployment or ReplicaSet; 0 before that."""
    return int(thing["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision", 0))


def literal(argument: str) -> str:
    """The argument as a container's command has to have it: Kubernetes replaces `$(NAME)` there, and `$$` by `$`."""
    return argument.replace("$", "$$")
