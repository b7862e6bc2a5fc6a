"""Which proxy this machine's environment names for an address."""

from __future__ import annotations

import urllib.request


def proxy_of(scheme: str, host: str) -> str | None:
    """The URL of the proxy for http or https, by HTTP_PROXY, HTTPS_PROXY and NO_PROXY in either case; None: none.

    host: may have a port. The URL may hold a password.
    """
    proxy = urllib.request.getproxies_environment().get(scheme)
    if not proxy or urllib.request.proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
