"""An agent that runs as a pod, and how the pod does."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True)
class AgentPod:
    """An agent to be run by the cluster. name: the agent's id, which is its pod's name too. token: the agent's own."""

    name: str
    token: str = field(repr=False)


class PodPhase(StrEnum):
    STARTING = "starting"
    """Waits for a node, for its image, for its program to begin."""
    RUNNING = "running"
    ENDED = "ended"
    """Its program ended by itself, and well."""
    FAILED = "failed"
    """It will not run (any more): `reason` says why, in words."""


@dataclass(frozen=True)
class PodState:
    """reason: a sentence when FAILED; while STARTING what it waits for, where the cluster says; else None."""

    phase: PodPhase
    reason: str | None = None
