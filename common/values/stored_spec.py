"""A version's spec as it is stored with its deployment, and as older AiWorkers stored it.

An older one wrote the fields of variables and health without an object of their own, and some of them not at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from common.values.app import Spec
from common.values.json_codec import Json, decode, encode

_OLD_BELOW = 500
"""Before a project could say it, any status under 500 was a healthy answer: such a version keeps that."""


def write_spec(spec: Spec) -> Json:
    """What is to be stored."""
    return encode(spec)


def read_spec(stored: Mapping[str, object]) -> Spec:
    """The spec that was stored, in today's shape or in an older one."""
    return decode(Spec, stored if "variables" in stored else _of_flat(stored), is_own=True)


def _of_flat(stored: Mapping[str, object]) -> Mapping[str, object]:
    variables = {"values": stored["env"], "secret_names": stored.get("secret_names", [])}
    health = {
        "path": stored["health_path"],
        "contains": stored.get("health_contains"),
        "below": stored.get("health_below", _OLD_BELOW),
        "seconds": stored["health_seconds"],
    }
    return {**stored, "variables": variables, "health": health}
