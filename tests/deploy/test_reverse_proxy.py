"""The recipes for a reverse proxy fit what the product needs of one."""

from __future__ import annotations

import re
import runpy

from tests.servers import ROOT
from web.websocket.connection import PING_SECONDS

RECIPES = ROOT / "deploy" / "reverse-proxy"


def directives(text: str) -> dict[str, list[str]]:
    """The simple directives of a configuration of nginx, by their name."""
    found: dict[str, list[str]] = {}
    for line in re.sub(r"#.*", "", text).split("\n"):
        words = line.strip().removesuffix(";").split(maxsplit=1)
        if len(words) == 2 and line.rstrip().endswith(";"):
            found.setdefault(words[0], []).append(words[1])
    return found


def seconds(value: str) -> int:
    return int(value.removesuffix("s"))


def keepalive() -> int:
    found: int = runpy.run_path(str(ROOT / "web" / "gunicorn.conf.py"))["keepalive"]
    return found


def test_nginx_passes_sockets_pushes_and_who_asks() -> None:
    text = (RECIPES / "nginx.conf").read_text("utf-8")
    found = directives(text)

    headers = dict(re.split(r"\s+", value, maxsplit=1) for value in found["proxy_set_header"])
    assert headers == {
        "Host": "$host",
        # What a client sends must not be passed on: AiWorker believes the last proxy.
        "X-Forwarded-For": "$remote_addr",
        "X-Forwarded-Proto": "$scheme",
        "X-Forwarded-Host": "$host",
        "Upgrade": "$http_upgrade",
        "Connection": "$aiworker_connection",
    }
    assert seconds(found["proxy_read_timeout"][0]) > 2 * PING_SECONDS
    assert seconds(found["keepalive_timeout"][0]) < keepalive()
    assert found["client_max_body_size"] == ["0"]
    assert found["proxy_request_buffering"] == found["proxy_buffering"] == ["off"]
    assert text.count("{") == text.count("}")


def test_caddy_passes_what_comes_at_once_and_gives_connections_up_first() -> None:
    text = (RECIPES / "Caddyfile").read_text("utf-8")
    bare = re.sub(r"#.*", "", text)

    assert re.search(r"reverse_proxy 127\.0\.0\.1:3000 \{", bare)
    assert re.search(r"flush_interval\s+-1", bare)
    blocked_by_cancelled = re.search(r"keepalive\s+(\d+)s", bare)
    assert blocked_by_cancelled is not None
    assert int(blocked_by_cancelled[1]) < keepalive()
    assert bare.count("{") == bare.count("}")
