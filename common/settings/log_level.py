"""How much is logged: a setting that the platform and agents read alike."""

from __future__ import annotations

from common.errors import Misconfigured
from common.settings.environment import Environment

_USUAL = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_LEVELS = (*_USUAL, "NOTSET", "WARN", "FATAL")
"""All that Python's logging knows."""


def read_log_level(env: Environment) -> str:
    """The name of a level of Python's logging, in capitals. Raises Misconfigured."""
    name, value = env.found("AIWORKER_LOG_LEVEL", "LOG_LEVEL") or ("", "INFO")
    if value.upper() not in _LEVELS:
        raise Misconfigured(f"{name}={value} is not one of {', '.join(_USUAL)}")
    return value.upper()
