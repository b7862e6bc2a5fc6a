"""What pods reach by their project's egress: the policies of a namespace, the labels that choose, and the proxy."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from common.errors import Misconfigured
from common.providers.runtime.cluster_objects.egress_policies import resolve_outside_rules
from common.values.egress import Egress, Network
from common.values.testing.check import Check
from common.values.variable_set import Variables
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.schemas import why_invalid
from tests.providers.runtime_cluster import COMMIT, SOURCE, SPACE, STAGING, runtime_on, settings_for, version

LABEL = "aiworker.dev/egress"
PROXY = {"AIWORKER_EGRESS_PROXY": "http://proxy.egress.svc:3128"}
PUBLIC = {
    "to": [
        {
            "ipBlock": {
                "cidr": "0.0.0.0/0",
                "except": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"],
            }
        },
        {"ipBlock": {"cidr": "::/0", "except": ["fc00::/7", "fe80::/10"]}},
    ]
}
OURS = {"namespaceSelector": {"matchLabels": {"app.kubernetes.io/part-of": "aiworker"}}}


def policies_of(cluster: ClusterDouble, folder: Path, **more: str) -> dict[str, Any]:
    """Specs of the policies of a new project's namespace, by name."""
    with runtime_on(cluster, folder, **more) as runtime:
        runtime.ensure_environment(SPACE)
    made = [one for one in cluster.sent if one["kind"] == "NetworkPolicy"]
    assert [reason for one in made if (reason := why_invalid(one))] == []
    return {one["metadata"]["name"]: one["spec"] for one in made}


def selects(spec: dict[str, Any], egress: Egress) -> bool:
    """Whether a policy holds for the pods of a project with this egress."""
    labels = {} if egress is Egress.OPEN else {LABEL: str(egress)}
    selector = spec["podSelector"]
    for one in selector.get("matchExpressions", []):
        assert one["operator"] == "NotIn"
        if labels.get(one["key"]) in one["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def reached(policies: dict[str, Any], egress: Egress) -> list[Any]:
    """What its pods reach, beside names."""
    rules = [rule for spec in policies.values() if selects(spec, egress) for rule in spec["egress"]]
    return [rule for rule in rules if "to" in rule]


def test_without_a_proxy_only_none_is_kept_from_public_addresses(cluster: ClusterDouble, tmp_path: Path) -> None:
    policies = policies_of(cluster, tmp_path, AIWORKER_KUBE_EGRESS="10.7.0.0/16")

    platform = {"to": [OURS, {"ipBlock": {"cidr": "10.7.0.0/16"}}]}
    assert reached(policies, Egress.NONE) == [platform]
    assert reached(policies, Egress.REGISTRIES) == [PUBLIC, platform]
    assert reached(policies, Egress.OPEN) == [PUBLIC, platform]
    assert all("ingress" not in spec for spec in policies.values())
    # The narrow one comes last, so that pods from before it was narrow lose nothing in between.
    assert list(policies)[-1] == "aiworker"


def test_with_a_proxy_registries_reaches_it_alone(cluster: ClusterDouble, tmp_path: Path) -> None:
    policies = policies_of(cluster, tmp_path, **PROXY)

    proxy = {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "egress"}}}]}
    assert reached(policies, Egress.NONE) == [{"to": [OURS]}]
    assert reached(policies, Egress.REGISTRIES) == [proxy, {"to": [OURS]}]
    assert reached(policies, Egress.OPEN) == [PUBLIC, {"to": [OURS]}]


def test_a_proxy_and_a_public_forge_are_allowed_by_address_and_port() -> None:
    outside = resolve_outside_rules("https://1.1.1.1/", "http://192.0.2.7:3128")

    (forge,), (proxy,) = outside.forge, outside.proxy
    assert forge == {"to": [{"ipBlock": {"cidr": "1.1.1.1/32"}}], "ports": [{"protocol": "TCP", "port": 443}]}
    assert proxy == {"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "ports": [{"protocol": "TCP", "port": 3128}]}


@pytest.mark.slow
def test_pods_are_labelled_and_told_of_the_proxy(cluster: ClusterDouble, tmp_path: Path) -> None:
    with runtime_on(cluster, tmp_path, **PROXY) as runtime:
        for egress in Egress:
            variables = Variables({"NO_PROXY": "mine"} if egress is Egress.REGISTRIES else {})
            network = Network(egress, ("packages.example.com",))
            runtime.ensure_check(
                Check(SPACE, f"check-{egress}", COMMIT, "true", SOURCE, variables=variables, network=network)
            )
            runtime.ensure_app(STAGING, version(f"v-{egress}", network=network))

    pods = [
        one["spec"]["template"]["metadata"]["labels"] for one in cluster.sent if one["kind"] in {"Job", "Deployment"}
    ]
    assert [labels.get(LABEL) for labels in pods] == ["registries", "registries", "none", "none", None, None]
    told = [
        {key: base64.b64decode(value).decode() for key, value in one["data"].items()}
        for one in cluster.sent
        if one["kind"] == "Secret" and "url" not in one.get("data", {"url": ""})
    ]
    check, app, *others = told
    assert check["HTTPS_PROXY"] == check["http_proxy"] == app["ALL_PROXY"] == PROXY["AIWORKER_EGRESS_PROXY"]
    assert app["no_proxy"].split(",") == ["localhost", "127.0.0.1", "::1", ".svc", ".svc.cluster.local", "forge.test"]
    # A project's own variable wins.
    assert check["NO_PROXY"] == "mine"
    assert all("HTTPS_PROXY" not in one for one in others)


@pytest.mark.parametrize("url", ["proxy:3128", "http://user:secret@proxy:3128"])
def test_a_proxy_must_be_an_address(cluster: ClusterDouble, tmp_path: Path, url: str) -> None:
    with pytest.raises(Misconfigured, match="AIWORKER_EGRESS_PROXY must be") as refused:
        settings_for(cluster, tmp_path, AIWORKER_EGRESS_PROXY=url)
    assert "secret" not in str(refused.value)
