"""The install on a cluster: what kustomize makes of deploy/ is valid, hardened, whole, and true to the product."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from common.providers.runtime.cluster.permissions import NEEDED
from common.providers.runtime.cluster.runtime import KubernetesRuntime
from common.settings import Settings, from_env
from tests.deploy.manifests import (
    COMMANDS,
    Manifests,
    faults_of_pod,
    key_references,
    names_read,
    pod_of,
)
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.schemas import why_invalid
from tests.providers.runtime_cluster import STAGING, runtime_on, version
from tests.providers.runtime_contract import settled
from tests.providers.runtime_permissions import Right, rights_asked, rights_of

PROCESSES = {"web", "relay", "gateway", "worker", "worker-slow", "beat", "flower", "migrate"}
"""Ours; the rest is other people's images."""
NOT_HERE = {"supervisor", "agent"}
"""Processes of the Procfile that are for one machine: the cluster is the supervisor, and the platform makes agents."""
TOKENS = {"web": "web", "worker": "worker", "worker-slow": "worker"}
"""Whose pods have a token of the cluster's, and of which account."""


@pytest.fixture(scope="session")
def settings(example: Manifests) -> Settings:
    return from_env(example.settings())


@pytest.mark.slow
def test_every_manifest_is_what_the_api_knows(manifests: Manifests) -> None:
    reasons = {f"{one['kind']} {one['metadata']['name']}": why_invalid(one) for one in manifests.all}

    assert {name: reason for name, reason in reasons.items() if reason} == {}


def test_all_of_it_is_in_one_namespace_that_takes_hardened_pods_alone(manifests: Manifests) -> None:
    (namespace,) = manifests.of("Namespace")
    cluster_wide = {"Namespace", "ClusterRole", "ClusterRoleBinding"}

    labels = namespace["metadata"]["labels"]
    assert labels["app.kubernetes.io/part-of"] == "aiworker"
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}
    assert {one["metadata"].get("namespace") for one in manifests.all if one["kind"] not in cluster_wide} == {
        namespace["metadata"]["name"]
    }


def test_no_container_is_root_or_writes_its_root_or_is_without_limits(manifests: Manifests) -> None:
    found = {one["metadata"]["name"]: faults_of_pod(one) for one in manifests.workloads()}

    assert {name: faults for name, faults in found.items() if faults} == {}


def test_only_those_who_ask_the_cluster_have_a_token(manifests: Manifests) -> None:
    accounts = {one["metadata"]["name"]: one for one in manifests.of("ServiceAccount")}
    bound = {subject["name"] for one in manifests.of("ClusterRoleBinding") for subject in one["subjects"]}
    pods = {one["metadata"]["name"]: pod_of(one) for one in manifests.workloads()}

    tokens = {name: pod["serviceAccountName"] for name, pod in pods.items() if pod["automountServiceAccountToken"]}
    assert tokens == TOKENS
    assert bound == set(TOKENS.values())
    assert {pod["serviceAccountName"] for pod in pods.values()} == set(accounts)
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())
    assert not manifests.of("Role", "RoleBinding")


def _rights_of(manifests: Manifests, account: str) -> set[Right]:
    found: set[Right] = set()
    for binding in manifests.of("ClusterRoleBinding"):
        (subject,) = binding["subjects"]
        if (subject["name"], subject["namespace"]) == (account, "aiworker"):
            for rule in manifests.one("ClusterRole", binding["roleRef"]["name"])["rules"]:
                assert set(rule) == {"apiGroups", "resources", "verbs"}
                (group,) = rule["apiGroups"]
                found |= {(group, resource, verb) for resource in rule["resources"] for verb in rule["verbs"]}
    return found


def test_the_workers_account_may_do_what_is_needed_and_no_more(manifests: Manifests) -> None:
    assert _rights_of(manifests, "worker") == rights_of(NEEDED)


def test_webs_account_may_do_what_web_asks_and_no_more(base: Manifests, tmp_path: Path) -> None:
    with ClusterDouble() as cluster, runtime_on(cluster, tmp_path) as running:
        _make_live(running)
        cluster.requests.clear()
        running.ping()
        running.app_logs(STAGING, "v1")
        asked = rights_asked(cluster.requests)

    assert _rights_of(base, "web") == asked


def _make_live(runtime: KubernetesRuntime) -> None:
    runtime.ensure_app(STAGING, version("v1"))
    settled(runtime, STAGING, "v1")


def test_every_process_is_started_as_the_procfile_has_it(manifests: Manifests) -> None:
    found: dict[str, Any] = {}
    for name in PROCESSES:
        (container,) = pod_of(manifests.workload(name))["containers"]
        assert "command" not in container, "tini, the image's entry point, must stay"
        found[{"migrate": "release"}.get(name, name)] = container["args"]

    wanted = {name: ["sh", "-c", f"exec {line}"] for name, line in COMMANDS.items() if name not in NOT_HERE}
    assert found == wanted


def test_who_uses_the_database_waits_for_its_schema(manifests: Manifests) -> None:
    waiting = {
        one["metadata"]["name"]
        for one in manifests.workloads()
        if any("aiworker db status" in " ".join(first["args"]) for first in pod_of(one).get("initContainers", []))
    }

    assert waiting == {"web", "relay", "gateway", "worker", "worker-slow"}


def test_every_setting_is_one_that_something_reads(example: Manifests) -> None:
    given = example.settings()
    in_commands = set(re.findall(r"\$\{(\w+)", " ".join(COMMANDS.values())))

    assert set(given) - names_read(given) - in_commands - set(key_references(example)) == set()


def test_what_the_settings_name_is_there(example: Manifests, settings: Settings) -> None:
    given = example.settings()
    services = {one["metadata"]["name"]: one["spec"]["ports"][0]["port"] for one in example.of("Service")}
    database, redis = urlsplit(settings.store.database_url), urlsplit(settings.store.redis_url)

    assert database.hostname is not None
    assert redis.hostname is not None
    assert services[database.hostname] == 3306
    assert services[redis.hostname] == redis.port
    assert (database.password, redis.password) == (given["MARIADB_PASSWORD"], given["REDIS_PASSWORD"])
    assert settings.web.internal_url == f"http://web.aiworker.svc:{services['web']}"
    (rule,) = example.one("Ingress", "aiworker")["spec"]["rules"]
    assert rule["host"] == urlsplit(settings.web.public_url).hostname


def _ports_of(manifests: Manifests, name: str) -> dict[str, int]:
    containers = pod_of(manifests.workload(name))["containers"]
    return {port["name"]: port["containerPort"] for one in containers for port in one.get("ports", [])}


def test_ports_that_are_named_are_there(manifests: Manifests) -> None:
    for service in manifests.of("Service"):
        for port in service["spec"]["ports"]:
            assert _ports_of(manifests, service["metadata"]["name"])[port["targetPort"]] == port["port"]
    services = {one["metadata"]["name"]: one["spec"]["ports"] for one in manifests.of("Service")}
    for path in manifests.one("Ingress", "aiworker")["spec"]["rules"][0]["http"]["paths"]:
        backend = path["backend"]["service"]
        assert backend["port"]["name"] in {port["name"] for port in services[backend["name"]]}
    for name in ("web", "relay", "gateway"):
        assert f":-{_ports_of(manifests, name)['http']}}}" in COMMANDS[name]
        probes = pod_of(manifests.workload(name))["containers"][0]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert probes[probe]["httpGet"]["port"] in _ports_of(manifests, name)
