"""Where previews, staging and production run: the protocol, and the one runtime that the settings name."""

from __future__ import annotations

import functools
import importlib

from common.providers.runtime.processes import ProcessRuntime
from common.providers.runtime.protocol import (
    App,
    AppPhase,
    AppState,
    Check,
    CheckPhase,
    CheckState,
    Runtime,
    Space,
    Version,
)
from common.settings import settings, socket_path

__all__ = [
    "App",
    "AppPhase",
    "AppState",
    "Check",
    "CheckPhase",
    "CheckState",
    "ProcessRuntime",
    "Runtime",
    "Space",
    "Version",
    "runtime",
]


@functools.cache
def runtime() -> Runtime:
    """The runtime that AIWORKER_RUNTIME names. Nothing is connected yet; `runtime.cache_clear()` chooses anew."""
    chosen = settings()
    if chosen.runtime.kubernetes is not None:
        # Its client costs 1.7 s and 146 MB: only whoever uses it loads it.
        cluster = importlib.import_module("common.providers.runtime.cluster")
        made: Runtime = cluster.KubernetesRuntime(chosen.runtime.kubernetes, instance=chosen.instance)
        return made
    return ProcessRuntime(socket_path(chosen.store.data_dir, "supervisor"))
