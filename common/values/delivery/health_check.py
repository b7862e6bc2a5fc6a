"""What the platform saw when it looked at a version that should serve."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class HealthState(StrEnum):
    HEALTHY = "healthy"
    """It serves."""
    STARTING = "starting"
    """It is being started again; nothing serves, or its former process does."""
    FAILING = "failing"
    """It does not stay up."""


@dataclass(frozen=True)
class HealthObservation:
    """restarts: how often its process had to be restarted since the runtime began to run it. reason: why it fails.
    url: the app's address; None: the runtime did not say.
    """

    deployment_id: str
    state: HealthState
    restarts: int = 0
    reason: str | None = None
    url: str | None = None
