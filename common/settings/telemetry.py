"""How much is logged, and where traces and reports of errors go. Every process reads it alike, agents and supervisor
too."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from common.errors import Misconfigured
from common.settings.environment import Environment, web_address

_USUAL = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_LEVELS = (*_USUAL, "NOTSET", "WARN", "FATAL")
"""All that Python's logging knows."""


@dataclass(frozen=True)
class TelemetrySettings:
    """Both are off by default: then nothing is loaded, and nothing leaves this machine."""

    otlp_endpoint: str | None = None
    """Base URL of an OTLP/HTTP receiver (OTEL_EXPORTER_OTLP_ENDPOINT), such as http://localhost:4318. None: no traces.
    Other variables of OpenTelemetry's are read by its library."""
    sentry_dsn: str | None = field(default=None, repr=False)
    """Where errors are reported (SENTRY_DSN), as Sentry writes it. None: nowhere."""
    sentry_environment: str | None = None
    """Name of this installation in Sentry (SENTRY_ENVIRONMENT). None: `production`, as its library has it."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read from the environment; None: this process's. Raises Misconfigured, one line that names the variable."""
        env = Environment(os.environ if environ is None else environ)
        return cls(
            otlp_endpoint=_address("OTEL_EXPORTER_OTLP_ENDPOINT", env.text("OTEL_EXPORTER_OTLP_ENDPOINT")),
            sentry_dsn=_address("SENTRY_DSN", env.text("SENTRY_DSN")),
            sentry_environment=env.text("SENTRY_ENVIRONMENT"),
        )


def _address(name: str, value: str | None) -> str | None:
    if value is not None and web_address(value) is None:
        raise Misconfigured(f"{name} is not an http or https address")
    return value


def read_log_level(env: Environment) -> str:
    """The name of a level of Python's logging, in capitals. Raises Misconfigured."""
    name, value = env.found("AIWORKER_LOG_LEVEL", "LOG_LEVEL") or ("", "INFO")
    if value.upper() not in _LEVELS:
        raise Misconfigured(f"{name}={value} is not one of {', '.join(_USUAL)}")
    return value.upper()
