"""Code that web and worker processes share: models, services, settings, and the providers for forge and runtime."""

from __future__ import annotations

import sys
from typing import Any

# The Redis client loads OpenTelemetry's metrics wherever they are installed, and this platform never asks for them:
# that would be half of what the client's import costs. common/telemetry/span_export.py makes them available again.
_modules: dict[str, Any] = sys.modules
_modules.setdefault("opentelemetry.sdk.metrics", None)
