"""Where previews, staging and production run: the protocol, and the one runtime that the settings name."""

from __future__ import annotations

import functools
import importlib

from common.providers.runtime.processes import ProcessRuntime
from common.providers.runtime.protocol import Fleet, Runtime
from common.settings import settings, socket_path

__all__ = ["Fleet", "ProcessRuntime", "Runtime", "fleet", "runtime"]


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


@functools.cache
def fleet() -> Fleet | None:
    """Where agents run as pods; None where none do (AIWORKER_AGENTS_MAX=0). `fleet.cache_clear()` chooses anew."""
    chosen = settings()
    if chosen.runtime.kubernetes is None or chosen.runtime.kubernetes.fleet is None:
        return None
    pods = importlib.import_module("common.providers.runtime.pods")
    made: Fleet = pods.KubernetesFleet(chosen.runtime.kubernetes, instance=chosen.instance)
    return made
