"""Settings of an agent, read alike by the agent, `aiworker up`, which starts some, and `aiworker doctor`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from common.errors import Misconfigured
from common.settings.environment import Environment

DRIVER_NAMES = ("claude", "codex", "gemini", "opencode", "qwen", "acp", "command", "scripted")
"""Those of common/values/runs/drivers.py, which lies above the settings."""
LONGEST_SECONDS = 86_400.0


@dataclass(frozen=True)
class AgentSettings:
    """Times in seconds."""

    drain_seconds: float = 30.0
    """How long runs may continue after SIGTERM, their last checkpoints included (AIWORKER_DRAIN_SECONDS)."""
    disk_reserve_bytes: int | None = None
    """What must be free on the work directory's disk for runs to be claimed (AIWORKER_DISK_RESERVE_BYTES). None:
    the larger of 1 GiB and 2 %."""
    run_disk_bytes: int | None = None
    """Most that one run may fill of the disk (AIWORKER_AGENT_RUN_DISK_BYTES). None: what the runner has as its own."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, drain_seconds: float = 30.0) -> Self:
        """Read from the environment; None: this process's. Raises Misconfigured, one line that names the variable.

        drain_seconds: the default of AIWORKER_DRAIN_SECONDS.
        """
        env = Environment(os.environ if environ is None else environ)
        return cls(
            drain_seconds=_seconds(env, "AIWORKER_DRAIN_SECONDS", drain_seconds),
            disk_reserve_bytes=_bytes(env, "AIWORKER_DISK_RESERVE_BYTES"),
            run_disk_bytes=_bytes(env, "AIWORKER_AGENT_RUN_DISK_BYTES"),
        )


def _seconds(env: Environment, name: str, default: float) -> float:
    text = env.text(name)
    try:
        seconds = default if text is None else float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_SECONDS:
        raise Misconfigured(f"{name}={text} is not a number of seconds from 0 to {LONGEST_SECONDS:g}")
    return seconds


def _bytes(env: Environment, name: str) -> int | None:
    text = env.text(name)
    if text is not None and not (text.isascii() and text.isdigit()):
        raise Misconfigured(f"{name}={text} is not a whole number")
    return None if text is None else int(text)
