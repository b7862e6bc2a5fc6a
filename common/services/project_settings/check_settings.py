"""The settings by which a project's tests run, as a digest. A result of other settings than those in force does not
count.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

from common.settings import settings
from common.values.json_codec import encode
from common.values.testing.check import Check

_DECIDING = (
    "command", "variables", "timeout_seconds", "memory_limit", "docker_image", "needs", "network", "test_report",
)  # fmt: skip
"""Fields of a check on which its end may depend, beside its commit and the namespace's limits."""


def settings_of(check: Check, *others: object) -> str:
    """A digest of the check's settings, and of other JSON values that decide how it ends.

    Keyed, as the values of secret variables are among them: who sees the digest can't try values.
    """
    encoded = encode(check)
    assert isinstance(encoded, Mapping)
    parts = [encoded[name] for name in _DECIDING] + [check.space.cpu_limit, check.space.memory_limit, *others]
    key = settings().security.key_for("check-settings")
    return hmac.new(key, json.dumps(parts, sort_keys=True).encode(), hashlib.sha256).hexdigest()[:32]
