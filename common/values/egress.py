"""What a project's programs may reach over the network."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Egress(StrEnum):
    REGISTRIES = "registries"
    """Only the platform, the forge, and the hosts of package registries and of the project's list, through a proxy."""
    NONE = "none"
    """Only the platform and the forge."""
    OPEN = "open"
    """Every public and private address but this machine's loopback, the metadata service and the platform."""


MOST_HOSTS = 100
"""How many further hosts a project may name."""


@dataclass(frozen=True)
class Network:
    """hosts: further hosts for `registries`, such as `packages.example.com` or `*.example.com`."""

    egress: Egress = Egress.OPEN
    hosts: tuple[str, ...] = ()
