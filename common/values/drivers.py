"""The drivers that this platform knows, by name: which program does the work, and which API of models it speaks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownDriver:
    """name: as people choose it. api: `anthropic`, `openai` or `gemini`; None: it needs no provider of the platform.

    title: as people read it.
    """

    name: str
    api: str | None
    title: str


KNOWN_DRIVERS = (
    KnownDriver("claude", "anthropic", "Claude Code"),
    KnownDriver("codex", "openai", "Codex"),
    KnownDriver("gemini", "gemini", "Gemini CLI"),
    KnownDriver("opencode", "openai", "OpenCode"),
    KnownDriver("qwen", "openai", "Qwen Code"),
    KnownDriver("acp", None, "Agent Client Protocol"),
    KnownDriver("command", None, "Command"),
    KnownDriver("scripted", None, "Scripted steps"),
)
