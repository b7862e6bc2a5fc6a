"""The objects that a cluster's API accepts and returns."""

from __future__ import annotations

from typing import Any, TypeAlias

KubeObject: TypeAlias = dict[str, Any]
"""An object as JSON. Only Kubernetes knows its shape, so it is not type-checked."""


def is_going(thing: KubeObject) -> bool:
    return "deletionTimestamp" in thing["metadata"]


def is_owned(thing: KubeObject, by: KubeObject) -> bool:
    """Whether the object was made by this very one, and not by one of the same name that was deleted."""
    return any(owner["uid"] == by["metadata"]["uid"] for owner in thing["metadata"].get("ownerReferences", []))


def revision(thing: KubeObject) -> int:
    """Return the rollout number that the deployment controller gave a Deployment or ReplicaSet; 0 before that."""
    return int(thing["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision", 0))


def literal(argument: str) -> str:
    """The argument as a container's command has to have it: Kubernetes replaces `$(NAME)` there, and `$$` by `$`."""
    return argument.replace("$", "$$")
