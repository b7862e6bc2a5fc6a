"""The variables by which programs find an HTTP proxy."""

from __future__ import annotations

from collections.abc import Iterable

PROXIED = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
DIRECT = "NO_PROXY"
LOCAL = ("localhost", "127.0.0.1", "::1")
NAMES = tuple(form for name in (*PROXIED, DIRECT) for form in (name, name.lower()))
"""In both forms: curl reads http_proxy in lower case only, others the upper case only."""


def proxy_variables(url: str, *, direct: Iterable[str]) -> dict[str, str]:
    """The variables of a program that reaches everything through this proxy but this machine and the hosts `direct`."""
    values = {**dict.fromkeys(PROXIED, url), DIRECT: ",".join((*LOCAL, *direct))}
    return {form: value for name, value in values.items() for form in (name, name.lower())}
