"""An agent that runs in a pod, and the state of its pod."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True)
class AgentPod:
    """An agent that the cluster runs. name: the id of the agent, and the name of its pod. token: the agent's token."""

    name: str
    token: str = field(repr=False)


class PodPhase(StrEnum):
    STARTING = "starting"
    """Waits for a node, for its image, or for its program to start."""
    RUNNING = "running"
    ENDED = "ended"
    """Its program ended by itself with exit code 0."""
    FAILED = "failed"
    """It can't start, or ended with an error: `reason` says why."""


@dataclass(frozen=True)
class PodState:
    """reason: when FAILED, a sentence; when STARTING, what it waits for, or None if unknown; else None."""

    phase: PodPhase
    reason: str | None = None
