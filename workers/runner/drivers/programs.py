"""The drivers for programs, by name. `scripted` is not one of them: it has no program."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from workers.runner.drivers.acp import AcpDriver
from workers.runner.drivers.claude import ClaudeDriver
from workers.runner.drivers.codex import CodexDriver
from workers.runner.drivers.command import CommandDriver
from workers.runner.drivers.gemini import GeminiDriver
from workers.runner.drivers.opencode import OpenCodeDriver
from workers.runner.drivers.program import ProgramDriver
from workers.runner.drivers.qwen import QwenDriver

PROGRAM_DRIVERS: Mapping[str, Callable[[], ProgramDriver]] = {
    "claude": ClaudeDriver,
    "codex": CodexDriver,
    "gemini": GeminiDriver,
    "opencode": OpenCodeDriver,
    "qwen": QwenDriver,
    "acp": AcpDriver,
    "command": CommandDriver,
}
