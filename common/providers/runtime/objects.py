"""The objects that a cluster's API takes and returns."""

from __future__ import annotations

from typing import Any, TypeAlias

KubeObject: TypeAlias = dict[str, Any]
"""An object as JSON: Kubernetes alone knows its shape, so nothing checks it here."""
