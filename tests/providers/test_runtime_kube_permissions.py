"""The list of permissions is what the verbs of runtime and fleet really ask for: no more and no less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.providers.runtime import Fleet, Runtime
from common.providers.runtime.cluster.agent_pods import KubernetesFleet
from common.providers.runtime.cluster.client import connect
from common.providers.runtime.cluster.permissions import NEEDED
from common.values.runs.agent_pod import AgentPod, PodPhase
from tests.doubles.kubernetes import ClusterDouble
from tests.providers.runtime_cluster import PRODUCTION, SPACE, STAGING, runtime_on, settings_for, version
from tests.providers.runtime_contract import check_of, finished, settled, until
from tests.providers.runtime_permissions import rights_asked, rights_of

AGENTS = {"AIWORKER_AGENTS_MAX": "3", "AIWORKER_INTERNAL_URL": "http://web.aiworker.svc:3000"}
AGENT = AgentPod("agent-0123456789ab", "awa_secret-of-the-agent")


class RecordingCluster:
    """A provider, and which of its verbs were called."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.called.add(name)
        return getattr(self._provider, name)


def _verbs(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}


def _use_runtime(runtime: Any) -> None:
    runtime.ping()
    for version_id in ("v1", "v2", "v3"):
        runtime.ensure_app(STAGING, version(version_id))
        settled(runtime, STAGING, version_id)
    runtime.read_app(STAGING, "v1")
    runtime.app_logs(STAGING, "v3")
    runtime.open_app(STAGING)
    runtime.ensure_app(PRODUCTION, version("v3"))
    settled(runtime, PRODUCTION, "v3")
    runtime.list_apps()
    check = check_of(version("v1"), SPACE, "check-1", "true")
    runtime.ensure_check(check)
    finished(runtime, check)
    runtime.delete_check(SPACE, "check-1")
    runtime.delete_app(STAGING)
    runtime.ensure_environment(SPACE)
    runtime.delete_environment(SPACE)


def _use_fleet(fleet: Any) -> None:
    fleet.ensure_agent(AGENT)
    until(lambda: (state := fleet.read_agent(AGENT.name)) and state.phase is PodPhase.RUNNING)
    fleet.list_agents()
    fleet.delete_agent(AGENT.name)


@pytest.mark.slow
def test_what_is_asked_of_a_cluster_is_what_is_needed(cluster: ClusterDouble, tmp_path: Path) -> None:
    with runtime_on(cluster, tmp_path) as running:
        runtime = RecordingCluster(running)
        _use_runtime(runtime)
    chosen = settings_for(cluster, tmp_path, **AGENTS)
    fleet = RecordingCluster(KubernetesFleet(chosen, instance="test", cluster=connect(chosen.kubeconfig)))
    _use_fleet(fleet)

    asked, needed = rights_asked(cluster.requests), rights_of(NEEDED)
    assert (_verbs(Runtime) - runtime.called, _verbs(Fleet) - fleet.called) == (set(), set())
    assert asked - needed == set()
    assert needed - asked == set()
