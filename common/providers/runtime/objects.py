"""The objects that a cluster's API accepts and returns."""

from __future__ import annotations

from typing import Any, TypeAlias

KubeObject: TypeAlias = dict[str, Any]
"""An object as JSON. Only Kubernetes knows its shape, so it is not type-checked."""
