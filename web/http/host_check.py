"""The first check of every request: its Host has to be this instance's, and its path may not begin with `//`.

A page of another site can point its own name at this machine's address (DNS rebinding); a browser then lets it call the
API as its own origin. The page can't make the browser send another Host, so only known names are served: loopback
names, IP addresses, the hosts of the settings' URLs, and AIWORKER_ALLOWED_HOSTS.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Flask, request

from common.errors import NotFound
from common.settings import Settings, settings
from common.settings.environment import is_address
from web.http.errors import Misdirected

LOOPBACK_NAMES = ("localhost", ".localhost", "localhost.localdomain", "ip6-localhost")
_EXEMPT = "/api/health"
"""Served under every name: probes use any of them, and the reply contains no secret."""
_HOST = re.compile(r"(?P<name>[a-z0-9_-]+(\.[a-z0-9_-]+)*)\.?(:[0-9]{1,5})?|\[(?P<ipv6>[0-9a-f:.]+)\](:[0-9]{1,5})?")


class Hosts:
    """The host names that requests may name. `.name` stands for all names below it, `*` for every name."""

    def __init__(self, chosen: Settings) -> None:
        web = chosen.web
        urls = (web.public_url, web.internal_url, chosen.forge.webhook_url, chosen.models.gateway_url)
        own = {urlsplit(url).hostname or "" for url in urls} | {web.host}
        named = {name.lower().removeprefix("*") or "*" for name in web.allowed_hosts}
        self._names = frozenset({*LOOPBACK_NAMES, *own, *named} - {""})

    def allow(self, host: str) -> bool:
        """Whether a Host header, with or without a port, names this instance. A malformed one does not."""
        match = _HOST.fullmatch(host.lower())
        if match is None:
            return False
        name = match["ipv6"] or match["name"]
        if "*" in self._names or name in self._names or is_address(name):
            return True
        return any(known.startswith(".") and name.endswith(known) for known in self._names)


def init_host_check(app: Flask) -> Callable[[str], bool]:
    """Refuse such requests. Call it before other modules register their before_request functions.

    Returns what tells whether a host is served, for requests that Flask does not see.
    """
    hosts = Hosts(settings())
    allows = functools.lru_cache(maxsize=256)(hosts.allow)

    def refuse() -> None:
        current = request._get_current_object()  # type: ignore[attr-defined]
        environ = current.environ
        # werkzeug reads `//api` as `/api`; a proxy that restricts paths may not.
        if environ["PATH_INFO"].startswith("//"):
            raise NotFound(environ["PATH_INFO"])
        # A request without a Host (HTTP/1.0) does not come from a browser; the server's own address stands in for it.
        if "HTTP_HOST" in environ and not current.path.startswith(_EXEMPT) and not allows(current.host):
            raise Misdirected(current.host)

    app.before_request(refuse)
    return allows
