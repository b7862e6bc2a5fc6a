"""Who may call whom in the install on a cluster, by its NetworkPolicies."""

from __future__ import annotations

from typing import Any

import pytest

from common.settings import from_env
from tests.deploy.manifests import Manifests, pod_of, takes

USES_DATABASE = {"web", "relay", "gateway", "worker", "worker-slow", "migrate"}
USES_REDIS = USES_DATABASE | {"beat", "flower"}
NAMES = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]


def _policy(found: Manifests, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = found.one("NetworkPolicy", name)["spec"]
    return spec


@pytest.mark.slow
def test_nothing_passes_that_is_not_named(manifests: Manifests) -> None:
    assert _policy(manifests, "nothing") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert _policy(manifests, "names")["egress"] == [{"ports": NAMES}]


def test_only_what_serves_is_called_and_on_its_port_alone(example: Manifests) -> None:
    called: dict[str, set[str]] = {}
    for policy in example.of("NetworkPolicy"):
        for rule in policy["spec"].get("ingress", []):
            assert rule["from"], "nobody in particular is everybody"
            (name,) = example.selected(policy["spec"]["podSelector"])
            called[name] = {port["port"] for port in rule["ports"]}
            ports = {port["name"] for one in pod_of(example.workload(name))["containers"] for port in one["ports"]}
            assert called[name] <= ports

    assert called == {
        "web": {"http"}, "relay": {"http"}, "gateway": {"http"}, "mysql": {"mysql"}, "redis": {"redis"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("store", "policy", "users"), [("mysql", "out-to-database", USES_DATABASE), ("redis", "out-to-redis", USES_REDIS)]
)
def test_a_store_is_reached_by_who_uses_it(store: str, policy: str, users: set[str], example: Manifests) -> None:
    out = _policy(example, policy)
    (peer,) = out["egress"][0]["to"]
    (caller,) = _policy(example, f"to-{store}")["ingress"][0]["from"]

    assert example.selected(out["podSelector"]) == users
    assert example.selected(peer["podSelector"]) == {store}
    assert example.selected(caller["podSelector"]) == users


def test_agents_reach_web(example: Manifests) -> None:
    chosen = from_env(example.settings()).runtime.kubernetes
    assert chosen is not None
    assert chosen.fleet is not None
    of_agents = {"kubernetes.io/metadata.name": chosen.fleet.namespace}
    of_project = {"kubernetes.io/metadata.name": "shop-0000beef", "app.kubernetes.io/managed-by": "aiworker"}
    (namespace,) = example.of("Namespace")

    peers = [one["namespaceSelector"] for one in _policy(example, "to-web")["ingress"][0]["from"]]

    assert [takes(peer, of_agents) for peer in peers].count(True) == 1
    assert any(takes(peer, namespace["metadata"]["labels"]) for peer in peers), "the workers' doctor asks web"
    assert not any(takes(peer, of_project) for peer in peers)


def test_agents_alone_reach_the_gateway_and_it_reaches_models(example: Manifests) -> None:
    chosen = from_env(example.settings())
    assert chosen.runtime.kubernetes is not None
    assert chosen.runtime.kubernetes.fleet is not None
    (namespace,) = example.of("Namespace")
    own = namespace["metadata"]["name"]

    (peer,) = _policy(example, "to-gateway")["ingress"][0]["from"]

    assert takes(peer["namespaceSelector"], {"kubernetes.io/metadata.name": chosen.runtime.kubernetes.fleet.namespace})
    assert not takes(peer["namespaceSelector"], {"kubernetes.io/metadata.name": own})
    assert chosen.models.gateway_url == f"http://gateway.{own}.svc:3002"
    assert example.selected(_policy(example, "out-to-models")["podSelector"]) == {"gateway", "web"}, "web tests them"
    assert {"protocol": "TCP", "port": 443} in _policy(example, "out-to-models")["egress"][0]["ports"]
