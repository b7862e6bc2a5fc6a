"""Which proxy this machine's environment names for an address."""

from __future__ import annotations

import urllib.request
from urllib.parse import urlsplit


def proxy_of(url: str) -> str | None:
    """The URL of the proxy for an http or https address, by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY in either
    case; None: none. It may hold a password.
    """
    parts = urlsplit(url)
    found = urllib.request.getproxies_environment()
    proxy = found.get(parts.scheme) or found.get("all")
    if not proxy or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
