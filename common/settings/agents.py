"""Settings of an agent, read alike by the agent, `aiworker up`, which starts some, and `aiworker doctor`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from common.errors import Misconfigured
from common.settings.environment import Environment

LONGEST_HEARTBEAT_SECONDS = 30.0
"""Half of the time after which the platform gives an agent up, so that one lost heartbeat loses no run."""
LONGEST_SECONDS = 86_400.0


@dataclass(frozen=True)
class AgentSettings:
    """Times in seconds."""

    heartbeat_seconds: float = 15.0
    """How often a heartbeat is sent (AIWORKER_HEARTBEAT_SECONDS), LONGEST_HEARTBEAT_SECONDS at most. The platform takes
    the agent for lost after 60 s without one."""
    ask_hold_seconds: float = 45.0
    """How long a run waits for an answer before it ends as `waiting` and frees its slot (AIWORKER_ASK_HOLD_SECONDS)."""
    drain_seconds: float = 30.0
    """How long runs may continue after SIGTERM, their last checkpoints included (AIWORKER_DRAIN_SECONDS)."""
    checkpoint_seconds: float = 180.0
    """How often the unfinished work of a run is pushed (AIWORKER_AGENT_CHECKPOINT_SECONDS)."""
    silence_seconds: float = 1200.0
    """How long a coding CLI may say nothing before it is stopped (AIWORKER_AGENT_SILENCE_SECONDS)."""
    disk_reserve_bytes: int | None = None
    """What must be free on the work directory's disk for runs to be claimed (AIWORKER_AGENT_DISK_RESERVE_BYTES). None:
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
            heartbeat_seconds=_seconds(
                env, "AIWORKER_HEARTBEAT_SECONDS", cls.heartbeat_seconds, most=LONGEST_HEARTBEAT_SECONDS
            ),
            ask_hold_seconds=_seconds(env, "AIWORKER_ASK_HOLD_SECONDS", cls.ask_hold_seconds, least=0.0),
            drain_seconds=_seconds(env, "AIWORKER_DRAIN_SECONDS", drain_seconds, least=0.0),
            checkpoint_seconds=_seconds(env, "AIWORKER_AGENT_CHECKPOINT_SECONDS", cls.checkpoint_seconds),
            silence_seconds=_seconds(env, "AIWORKER_AGENT_SILENCE_SECONDS", cls.silence_seconds),
            disk_reserve_bytes=_bytes(env, "AIWORKER_AGENT_DISK_RESERVE_BYTES"),
            run_disk_bytes=_bytes(env, "AIWORKER_AGENT_RUN_DISK_BYTES"),
        )


def _seconds(
    env: Environment, name: str, default: float, *, least: float = 0.05, most: float = LONGEST_SECONDS
) -> float:
    text = env.text(name)
    try:
        seconds = default if text is None else float(text)
    except ValueError:
        seconds = -1.0
    if not least <= seconds <= most:
        raise Misconfigured(f"{name}={text} is not a number of seconds from {least:g} to {most:g}")
    return seconds


def _bytes(env: Environment, name: str) -> int | None:
    text = env.text(name)
    if text is not None and not (text.isascii() and text.isdigit()):
        raise Misconfigured(f"{name}={text} is not a whole number")
    return None if text is None else int(text)
