"""NetworkPolicies by which a project's pods reach what its `egress` allows. Pure functions of what was resolved before.

A NetworkPolicy can't name hosts. With AIWORKER_EGRESS_PROXY, pods of `registries` reach that proxy alone, which knows
names; without it they reach every public address. Policies add up, so the one for all pods allows the least. A pod
without the label of its egress is `open`: it may have been made before there was a choice.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from common.machine.proxy_variables import proxy_variables
from common.network.addresses import addresses_of
from common.providers.runtime.cluster_objects import hardening, network_policy
from common.providers.runtime.cluster_objects.types import KubeObject
from common.values.egress import Egress, Network

EGRESS = "aiworker.dev/egress"
"""Label of a pod: its Egress, unless that is `open`."""
PRIVATE_NETWORKS = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"]
PRIVATE_NETWORKS_6 = ["fc00::/7", "fe80::/10"]
_PUBLIC: KubeObject = {
    "to": [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": PRIVATE_NETWORKS}},
        {"ipBlock": {"cidr": "::/0", "except": PRIVATE_NETWORKS_6}},
    ]
}
_DIRECT = (".svc", ".svc.cluster.local")


@dataclass(frozen=True)
class OutsideRules:
    """Rules for what lies outside of the projects' namespaces, with addresses as they were resolved.

    forge: of a forge with a public address, which pods of every egress clone from. proxy: of AIWORKER_EGRESS_PROXY.
    """

    forge: tuple[KubeObject, ...] = ()
    proxy: tuple[KubeObject, ...] = ()


def resolve_outside_rules(forge_url: str | None, proxy_url: str | None) -> OutsideRules:
    """Resolve both hosts, which may take seconds. One that can't be resolved has no rule: the doctor names it."""
    return OutsideRules(_rules_to(forge_url, is_public=True), _rules_to(proxy_url, is_public=False))


def labels_of(network: Network) -> dict[str, str]:
    """The labels of a pod with this network. None for `open`, so that a version from before has the pod that it had."""
    return {} if network.egress is Egress.OPEN else {EGRESS: str(network.egress)}


def variables_of(network: Network, proxy_url: str | None, *direct: str | None) -> dict[str, str]:
    """The variables of a pod's program for the proxy; none if there is no proxy, or none for this network.

    direct: URLs or hosts that it reaches without the proxy.
    """
    if proxy_url is None or network.egress is not Egress.REGISTRIES:
        return {}
    return pod_proxy_variables(proxy_url, *direct)


def pod_proxy_variables(proxy_url: str, *direct: str | None) -> dict[str, str]:
    hosts = [urlsplit(url).hostname or url for url in direct if url]
    return proxy_variables(proxy_url, direct=(*_DIRECT, *dict.fromkeys(hosts)))


def policies(networks: Sequence[str], outside: OutsideRules, *, has_proxy: bool) -> dict[str, KubeObject]:
    """Specs of NetworkPolicies by name, in the order in which to apply them: a pod that runs loses nothing in between.

    networks: private networks (CIDR) that all pods may reach. Nothing may connect to a pod by these.
    """
    closed = [Egress.NONE, Egress.REGISTRIES] if has_proxy else [Egress.NONE]
    besides_closed = {"matchExpressions": [{"key": EGRESS, "operator": "NotIn", "values": list(map(str, closed))}]}
    everyone = [hardening.TO_AIWORKER, *({"ipBlock": {"cidr": cidr}} for cidr in networks)]
    return {
        "aiworker-public": {"podSelector": besides_closed, "policyTypes": ["Egress"], "egress": [_PUBLIC]},
        "aiworker-proxy": {
            "podSelector": {"matchLabels": {EGRESS: str(Egress.REGISTRIES)}},
            "policyTypes": ["Egress"],
            "egress": list(outside.proxy),
        },
        "aiworker": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [hardening.DNS, {"to": everyone}, *outside.forge],
        },
    }


def _rules_to(url: str | None, *, is_public: bool) -> tuple[KubeObject, ...]:
    """At most one rule. is_public: only public addresses, and no namespace of this cluster."""
    parts = urlsplit(url or "")
    host = parts.hostname
    if not host:
        return ()
    namespace = network_policy.service_namespace(host)
    if namespace is not None:
        # Ports of a rule are those of pods, which may differ from those of a service.
        peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
        return () if is_public else ({"to": [peer]},)
    found = [address for address in addresses_of(host) if address.is_global or not is_public]
    if not found:
        # A rule without peers would allow every address.
        return ()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    peers = [{"ipBlock": {"cidr": str(ipaddress.ip_network(address))}} for address in found]
    return ({"to": peers, "ports": [{"protocol": "TCP", "port": port}]},)
