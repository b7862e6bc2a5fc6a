"""Whether an address is one that the NetworkPolicies of pods let through. Nothing is connected."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from common.machine.addresses import Address, addresses_of

PART_OF = ("app.kubernetes.io/part-of", "aiworker")
"""The label of namespaces that every pod of ours may reach."""


@dataclass(frozen=True)
class Way:
    """What a NetworkPolicy lets out. egress: networks (CIDR). setting: where they are named."""

    setting: str
    egress: tuple[str, ...]
    is_public_open: bool

    def is_open(self, address: Address) -> bool:
        if self.is_public_open and address.is_global:
            return True
        return any(address in network for network in _networks(self.egress))


def service_namespace(host: str) -> str | None:
    """The namespace of a name of the cluster's own, `<service>.<namespace>.svc…`; None for other names."""
    parts = host.split(".")
    return parts[1] if len(parts) >= 3 and parts[2] == "svc" else None


def unreachable(host: str, way: Way) -> str | None:
    """Why pods may not reach this host, in words, with the remedy; None if they may, or it has no address here."""
    shut = [address for address in addresses_of(host) if not way.is_open(address)]
    if not shut:
        return None
    return (
        f"{host} is {shut[0]}: pods reach it only if {way.setting} names its network, "
        f"or if it lies in a namespace labelled {'='.join(PART_OF)}"
    )


def _networks(egress: Sequence[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for text in egress:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            # Whoever writes the policy will be told by the cluster.
            continue
    return found
