"""How the process of an agent was started, as far as the platform has to know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setup:
    """pod_name: shown to people. version: of the agent. slots: runs at the same time.

    An earlier process, which enrolled the agent, may have been started with others.
    """

    pod_name: str
    version: str
    slots: int
    capabilities: tuple[str, ...]

    @property
    def body(self) -> dict[str, object]:
        """The fields of a request."""
        return {
            "podName": self.pod_name,
            "version": self.version,
            "slots": self.slots,
            "capabilities": list(self.capabilities),
        }
