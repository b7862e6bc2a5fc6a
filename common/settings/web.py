"""How people and agents reach this instance: addresses, limits of requests, trusted proxies."""

from __future__ import annotations

from dataclasses import dataclass

from common.settings.environment import Environment, own_address


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
    max_body_bytes: int
    """Largest JSON body (AIWORKER_MAX_BODY_BYTES), 1 MiB by default. Git over HTTP is exempt."""
    git_max_body_bytes: int
    """Largest push (AIWORKER_GIT_MAX_BODY_BYTES), 2 GiB by default."""
    git_max_file_bytes: int
    """Largest file in a push, unpacked (AIWORKER_GIT_MAX_FILE_BYTES), 256 MiB by default. The limit of the push's size
    does not imply one: a file of zeros shrinks by a factor of 1,000 when packed."""
    writes_per_minute: int
    """Write requests that one person may send per minute (AIWORKER_WRITES_PER_MINUTE), 600 by default: more than people
    and ordinary scripts need, less than a script in an endless loop sends."""
    head_seconds: int
    """How long a request's headers may take to arrive, from their first byte (AIWORKER_HEAD_SECONDS), 10 by default. A
    slow connection needs about 1 s; a client that sends single bytes must not keep a connection open for longer."""
    slow_request_seconds: int
    """From how many seconds on a request of the API is a line of the log (AIWORKER_SLOW_REQUEST_SECONDS), 2 by default.
    0: none is."""
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
    page_sources: bool
    """AIWORKER_PAGE_SOURCES=1 serves the page's sources as they are, for work on the page: many files, each asked for
    again at every visit. Else browsers get few bundled files, made when the process starts to serve them."""


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
        max_body_bytes=env.number("AIWORKER_MAX_BODY_BYTES", default=2**20, least=1024),
        git_max_body_bytes=env.number("AIWORKER_GIT_MAX_BODY_BYTES", default=2**31, least=2**20, most=2**40),
        git_max_file_bytes=env.number("AIWORKER_GIT_MAX_FILE_BYTES", default=2**28, least=2**20, most=2**40),
        writes_per_minute=env.number("AIWORKER_WRITES_PER_MINUTE", default=600, least=1),
        head_seconds=env.number("AIWORKER_HEAD_SECONDS", default=10, least=1, most=3600),
        slow_request_seconds=env.number("AIWORKER_SLOW_REQUEST_SECONDS", default=2, most=3600),
        outgoing_allow=env.hosts("AIWORKER_OUTGOING_ALLOW", such_as="chat.internal or chat.internal:8065"),
        trusted_proxies=env.number("AIWORKER_TRUSTED_PROXIES", default=0, most=10),
        allowed_hosts=env.hosts("AIWORKER_ALLOWED_HOSTS", such_as="shop.example.com"),
        page_sources=env.flag("AIWORKER_PAGE_SOURCES"),
    )
