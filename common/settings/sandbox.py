"""Settings of the sandbox, which the runner, the supervisor, `aiworker up` and `aiworker doctor` read alike."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlsplit

from common.errors import Misconfigured
from common.network.addresses import addresses_of
from common.network.host_patterns import host_and_port
from common.settings.environment import Environment

logger = logging.getLogger(__name__)

MODES = ("auto", "required", "off")
# SQLAlchemy's grammar: a password may contain what ends the host of other URLs, such as `/` and `#`.
_DATABASE_HOST = re.compile(r"(?:mysql|mariadb)[\w+]*://(?:[^:/]*(?::[^@]*)?@)?(?:\[([^/?]+)\]|([^/:?]+))?")


@dataclass(frozen=True)
class SandboxSettings:
    """How commands of agents and of repositories are confined on this machine."""

    mode: str = "auto"
    """AIWORKER_SANDBOX. `auto`, the default: confined where bubblewrap works, else unconfined, which is said at every
    start. `required`: nothing starts where it does not work. `off`: unconfined, for a pod, which is itself the
    sandbox."""
    egress_hosts: tuple[str, ...] = ()
    """Hosts that every project with egress `registries` may reach (AIWORKER_EGRESS_HOSTS, comma-separated: `host`,
    `*.suffix` or an address, each with or without `:port`; without: 80 and 443). They alone may have private addresses.
    Default: none."""
    blocked: tuple[str, ...] = ()
    """Networks (AIWORKER_SANDBOX_BLOCKED, CIDR, comma-separated) that no confined program reaches directly. What
    confines programs adds the platform's database and Redis: see `with_stores_blocked`. Default: none."""
    memory_bytes: int | None = None
    """Memory of one command and all that it starts (AIWORKER_SANDBOX_MEMORY_BYTES). None: three quarters of the
    machine's. A project's memoryLimit, where it applies, is used instead."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read from the environment; None: this process's. Raises Misconfigured, one line that names the variable."""
        env = Environment(os.environ if environ is None else environ)
        return cls(
            mode=env.choice("AIWORKER_SANDBOX", default="auto", of=MODES),
            egress_hosts=_hosts(env, "AIWORKER_EGRESS_HOSTS"),
            blocked=env.networks("AIWORKER_SANDBOX_BLOCKED", strict=True),
            memory_bytes=env.optional_number("AIWORKER_SANDBOX_MEMORY_BYTES", least=2**26, most=2**50),
        )

    @classmethod
    def with_stores_blocked(cls, environ: Mapping[str, str] | None = None) -> Self:
        """As from_env, and blocked has the addresses of the database and Redis that the environment names, too.

        For processes that confine programs: looking up the names may take seconds. Raises Misconfigured.
        """
        env = Environment(os.environ if environ is None else environ)
        # Not checked: on a machine of an agent alone, the customary names may be those of another program.
        urls = env.text("AIWORKER_DATABASE_URL", "DATABASE_URL"), env.text("AIWORKER_REDIS_URL", "REDIS_URL")
        read = cls.from_env(environ)
        return replace(read, blocked=tuple(dict.fromkeys((*read.blocked, *store_networks(*filter(None, urls))))))

    def most_memory_bytes(self) -> int:
        """The bound of one command: memory_bytes, else three quarters of this machine's memory."""
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return self.memory_bytes or machine * 3 // 4


def store_networks(*urls: str) -> tuple[str, ...]:
    """The addresses of databases and Redis that are on other machines, each as a network of one.

    A host that can't be resolved has none, which is logged. A lookup may take seconds.
    """
    networks: dict[str, None] = {}
    for host in dict.fromkeys(map(_store_host, urls)):
        if host is None:
            continue
        addresses = addresses_of(host)
        if not addresses:
            logger.warning(
                "%s, where the database or Redis is, has no address here: confined programs with an open network are "
                "not kept from it; name its network in AIWORKER_SANDBOX_BLOCKED",
                host,
            )
        networks.update(dict.fromkeys(str(ipaddress.ip_network(one)) for one in addresses if not one.is_loopback))
    return tuple(networks)


def _store_host(url: str) -> str | None:
    """The host of a database's or Redis's URL; None for a file, a socket, and what can't be read."""
    database = _DATABASE_HOST.match(url)
    if database:
        return database[1] or database[2]
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _hosts(env: Environment, name: str) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(map(host_and_port, env.names(name))))
    except ValueError as error:
        raise Misconfigured(f"{name}: {error}") from error
