"""The runtime, where previews, staging and production run: its protocol, and the implementation of the settings."""

from __future__ import annotations

import functools
import importlib

from common.providers.runtime.local import ProcessRuntime
from common.providers.runtime.runtime_protocol import Fleet, Runtime
from common.settings import settings, socket_path

__all__ = ["Fleet", "ProcessRuntime", "Runtime", "fleet", "runtime"]


@functools.cache
def runtime() -> Runtime:
    """Return the runtime of AIWORKER_RUNTIME, created once, without connecting. `runtime.cache_clear()` resets it."""
    chosen = settings()
    if chosen.runtime.kubernetes is not None:
        # Importing the Kubernetes client takes 1.7 s and 146 MB, so only processes that use it import it.
        cluster = importlib.import_module("common.providers.runtime.cluster.runtime")
        made: Runtime = cluster.KubernetesRuntime(chosen.runtime.kubernetes, instance=chosen.instance)
        return made
    return ProcessRuntime(socket_path(chosen.store.data_dir, "supervisor"))


@functools.cache
def fleet() -> Fleet | None:
    """Return the fleet, which runs agents as pods; None if AIWORKER_AGENTS_MAX=0. `fleet.cache_clear()` resets it."""
    chosen = settings()
    if chosen.runtime.kubernetes is None or chosen.runtime.kubernetes.fleet is None:
        return None
    pods = importlib.import_module("common.providers.runtime.cluster.agent_pods")
    made: Fleet = pods.KubernetesFleet(chosen.runtime.kubernetes, instance=chosen.instance)
    return made
