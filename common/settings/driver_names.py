"""The names of the drivers, for the settings that name some."""

from __future__ import annotations

DRIVER_NAMES = ("claude", "codex", "gemini", "opencode", "qwen", "acp", "command", "scripted")
"""Those of common/values/runs/drivers.py, which lies above the settings."""
