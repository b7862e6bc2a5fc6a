"""Whether the NetworkPolicies of pods allow connections to an address. Opens no connection itself."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from common.network.addresses import Address, addresses_of

PART_OF = ("app.kubernetes.io/part-of", "aiworker")
"""The label of namespaces that all our pods may connect to."""


@dataclass(frozen=True)
class EgressRules:
    """The egress that a NetworkPolicy allows. egress: networks (CIDR). setting: the setting that lists them.

    is_public_open: all public addresses are allowed.
    """

    setting: str
    egress: tuple[str, ...]
    is_public_open: bool

    def is_open(self, address: Address) -> bool:
        if self.is_public_open and address.is_global:
            return True
        return any(address in ipaddress.ip_network(network) for network in self.egress)


def service_namespace(host: str) -> str | None:
    """Return the namespace in a cluster-internal host name, `<service>.<namespace>.svc…`; None for other names."""
    parts = host.split(".")
    return parts[1] if len(parts) >= 3 and parts[2] == "svc" else None


def unreachable(host: str, rules: EgressRules) -> str | None:
    """Return why pods may not reach this host, with the remedy; None if they may, or if it has no address here."""
    blocked = [address for address in addresses_of(host) if not rules.is_open(address)]
    if not blocked:
        return None
    address = str(blocked[0])
    named = host if host == address else f"{host} ({address})"
    return (
        f"{named} is reached only if {rules.setting} contains its network, "
        f"or if it lies in a namespace labelled {'='.join(PART_OF)}"
    )
