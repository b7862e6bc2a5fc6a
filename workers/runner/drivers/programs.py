"""The drivers for programs, by name. `scripted` is not one of them: it has no program."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from workers.runner.drivers.claude import ClaudeDriver
from workers.runner.drivers.program import ProgramDriver

PROGRAM_DRIVERS: Mapping[str, Callable[[], ProgramDriver]] = {
    "claude": ClaudeDriver,
}
