"""Reads and writes the spec that is stored with a deployment, also in the form of older AiWorkers.

Older ones stored the fields of variables and health directly in the spec's object, and lacked some of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from common.values.delivery.app import Spec
from common.values.json_codec import Json, decode, encode

_OLD_BELOW = 500
"""Versions that were stored without health_below are healthy with any status under 500, as when they were deployed."""


def write_spec(spec: Spec) -> Json:
    """The spec as JSON to be stored."""
    return encode(spec)


def read_spec(stored: Mapping[str, object]) -> Spec:
    """Read a stored spec, in the present form or in an older one."""
    return decode(Spec, stored if "variables" in stored else _of_flat(stored), is_trusted=True)


def _of_flat(stored: Mapping[str, object]) -> Mapping[str, object]:
    variables = {"values": stored["env"], "secret_names": stored.get("secret_names", [])}
    health = {
        "path": stored["health_path"],
        "contains": stored.get("health_contains"),
        "below": stored.get("health_below", _OLD_BELOW),
        "seconds": stored["health_seconds"],
    }
    return {**stored, "variables": variables, "health": health}
