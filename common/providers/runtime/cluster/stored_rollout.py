"""The verdict on a version's rollout, stored as an annotation of its Deployment.

Also reads two formats of older AiWorkers: a verdict as four lines instead of JSON, and a check's timeout under the
annotation of a health check's seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from common.providers.runtime.cluster_objects import names
from common.providers.runtime.cluster_objects.reasons import Judgement
from common.values.delivery.app import AppPhase
from common.values.json_codec import decode, encode


@dataclass(frozen=True)
class StoredRollout:
    """A final verdict. rollout: the rollout's identity, which differs between two rollouts of the same version."""

    rollout: str
    phase: AppPhase
    code: str | None = None
    reason: str | None = None


def write_verdict(rollout: str, judged: Judgement) -> str:
    """Return the text of the annotation."""
    return json.dumps(encode(StoredRollout(rollout, judged.phase, judged.code, judged.reason)))


def read_verdict(annotations: Mapping[str, str], rollout: str) -> Judgement | None:
    """Return the stored verdict on this rollout; None if there is none, or only one on another rollout."""
    text = annotations.get(names.VERDICT)
    if text is None:
        return None
    kept = decode(StoredRollout, json.loads(text)) if text.startswith("{") else _of_lines(text)
    return Judgement(kept.phase, kept.code, kept.reason) if kept.rollout == rollout else None


def _of_lines(text: str) -> StoredRollout:
    rollout, phase, code, reason = text.split("\n", 3)
    return StoredRollout(rollout, AppPhase(phase), code or None, reason or None)


def read_timeout(annotations: Mapping[str, str]) -> float:
    """Return how many seconds a check's command may take."""
    return float(annotations.get(names.TIMEOUT_SECONDS) or annotations.get(names.HEALTH_SECONDS) or 0)
