"""The variables that lead a command's programs through the proxy."""

from __future__ import annotations

from collections.abc import Iterable

from common.machine.proxy_variables import proxy_variables as usual_variables

PROXY_PORT = 3128


def proxy_variables(port: int, direct_hosts: Iterable[str]) -> dict[str, str]:
    """The variables of the proxy on this port of loopback.

    direct_hosts: further names that a command reaches without the proxy.
    """
    proxy = f"http://127.0.0.1:{port}"
    variables = {"NODE_USE_ENV_PROXY": "1", "npm_config_proxy": proxy, "npm_config_https_proxy": proxy}
    variables |= usual_variables(proxy, direct=direct_hosts)
    jvm = f"-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort={port} -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort={port}"
    return variables | {"MAVEN_OPTS": jvm, "GRADLE_OPTS": jvm, "CARGO_HTTP_PROXY": proxy}
