"""How people and agents reach this instance: addresses, limits of requests, trusted proxies."""

from __future__ import annotations

import os
from dataclasses import dataclass

from common.errors import Misconfigured
from common.settings.environment import Environment, own_address

WEB_PROCESSES = "WEB_CONCURRENCY"
GATEWAY_PROCESSES = "AIWORKER_GATEWAY_PROCESSES"
QUICK_PROCESSES = "AIWORKER_QUICK_PROCESSES"
SLOW_PROCESSES = "AIWORKER_SLOW_PROCESSES"
GIT_FILES_IN_A_BODY = 8
"""How many files of the largest size a push may bring: 2 GiB by default."""


@dataclass(frozen=True)
class WebSettings:
    """How people and agents reach this instance."""

    host: str
    """Address to listen on (AIWORKER_HOST). 127.0.0.1 by default: other machines get access only if it is set."""
    port: int
    """Port to listen on (AIWORKER_PORT or PORT); 3000 by default."""
    public_url: str
    """Base URL of links (AIWORKER_PUBLIC_URL), without a trailing slash. By default at AIWORKER_HOST, or localhost."""
    internal_url: str
    """Where agents on this machine reach the API (AIWORKER_INTERNAL_URL). http://127.0.0.1:<port> by default."""
    metrics_public: bool
    """AIWORKER_METRICS_PUBLIC=1 serves /metrics without a token, for a scraper inside a closed network."""
    git_max_file_bytes: int
    """Largest file in a push, unpacked (AIWORKER_GIT_MAX_FILE_BYTES), 256 MiB by default. The limit of the push's size
    does not imply one: a file of zeros shrinks by a factor of 1,000 when packed."""
    writes_per_minute: int
    """Write requests that one person may send per minute (AIWORKER_WRITES_PER_MINUTE), 600 by default: more than people
    and ordinary scripts need, less than a script in an endless loop sends."""
    outgoing_allow: tuple[str, ...]
    """Private hosts (or host:port) that the outgoing webhook may name (AIWORKER_OUTGOING_ALLOW, comma-separated).
    Default: none. Apart from AIWORKER_IMPORT_ALLOW, as everybody who makes projects can have those read."""
    trusted_proxies: int
    """Number of proxies in front of the API that set X-Forwarded-* (AIWORKER_TRUSTED_PROXIES), 0 by default: these
    headers are ignored."""
    allowed_hosts: tuple[str, ...]
    """Further host names that requests may name (AIWORKER_ALLOWED_HOSTS, comma-separated): `.example.com` allows all
    its subdomains, `*` every name. Default: none. Always allowed: loopback names, IP addresses, and the hosts of the
    URLs here and of webhook_url."""

    @property
    def git_max_body_bytes(self) -> int:
        """Largest push: 2 GiB by default."""
        return GIT_FILES_IN_A_BODY * self.git_max_file_bytes


def read_web(env: Environment) -> WebSettings:
    """Raises Misconfigured."""
    host = env.string("AIWORKER_HOST", default="127.0.0.1").strip("[]")
    port = env.number("AIWORKER_PORT", "PORT", default=3000, least=1, most=65535)
    public_url = env.address("AIWORKER_PUBLIC_URL", such_as="https://aiworker.example")
    internal_url = env.address("AIWORKER_INTERNAL_URL", such_as="http://localhost:3000")
    return WebSettings(
        host=host,
        port=port,
        public_url=(public_url or own_address(host, port, otherwise="localhost")).rstrip("/"),
        internal_url=(internal_url or own_address(host, port, otherwise="127.0.0.1")).rstrip("/"),
        metrics_public=env.flag("AIWORKER_METRICS_PUBLIC"),
        git_max_file_bytes=env.number("AIWORKER_GIT_MAX_FILE_BYTES", default=2**28, least=2**20, most=2**40),
        writes_per_minute=env.number("AIWORKER_WRITES_PER_MINUTE", default=600, least=1),
        outgoing_allow=env.hosts("AIWORKER_OUTGOING_ALLOW", such_as="chat.internal or chat.internal:8065"),
        trusted_proxies=env.number("AIWORKER_TRUSTED_PROXIES", default=0, most=10),
        allowed_hosts=env.hosts("AIWORKER_ALLOWED_HOSTS", such_as="shop.example.com"),
    )


def check_process_numbers(*names: str) -> None:
    """Raise Misconfigured if one of the variables holds no number of processes. They may be empty.

    They are arguments of gunicorn and Celery in the Procfile, whose own errors don't name the variable.
    """
    for name in names:
        try:
            Environment({name: os.environ.get(name, "")}).optional_number(name, least=1, most=1000)
        except Misconfigured as error:
            raise Misconfigured(f"{error}; correct or unset it") from error
