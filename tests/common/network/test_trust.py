"""TLS towards servers whose certificate comes from an authority of one's own: trusted where the machine trusts it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from common.errors import ProviderUnavailable
from common.machine.certificates import bundle, chosen_bundle
from common.machine.processes.children import base_environment
from common.providers.forge.gitea.client import Client
from common.providers.outgoing_webhook import send
from common.providers.runtime.cluster.ingress_health import IngressRoute, wrong_answer
from common.values.delivery.notice import Dispatch
from tests.tls import Certificate, make_certificate, tls_in_front_of
from web.cli.api_error import ApiError
from web.cli.client import Api
from workers.runner.platform_client.client import Wire


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = b'{"version": "1.26.2", "status": "ok"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's own name)
        """Nothing: a test's output is the test's."""


@dataclass(frozen=True)
class Place:
    """An https server. port: where it speaks plain HTTP. own: its certificate, which is its authority, too."""

    url: str
    port: int
    own: Certificate


@pytest.fixture
def place(tmp_path: Path, no_named_certificates: None) -> Iterator[Place]:
    own = make_certificate(tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        with tls_in_front_of(server.server_port, own) as port:
            yield Place(f"https://127.0.0.1:{port}", server.server_port, own)
        server.shutdown()


def test_the_clients_of_gitea_the_platform_and_the_ingress_trust_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = IngressRoute(address=place.url, url=place.url)
    gitea, wire = Client(place.url, "token"), Wire(place.url)
    with pytest.raises(ProviderUnavailable, match=r"is not trusted .* SSL_CERT_FILE"):
        gitea.get("/version")
    with pytest.raises(ProviderUnavailable, match=r"is not trusted .* SSL_CERT_FILE"):
        wire.call_json("GET", "/health", token="x")
    with Api(place.url, "x") as api, pytest.raises(ApiError, match=r"is not trusted .* SSL_CERT"):
        api.call("GET", "/health")
    assert wrong_answer(route, "/", None) == "it does not answer (SSLError)"

    monkeypatch.setenv("SSL_CERT_FILE", str(place.own.certificate))

    assert gitea.get("/version").body["version"] == "1.26.2"
    assert wire.call_json("GET", "/health", token="x")["status"] == "ok"
    with Api(place.url, "x") as api:
        assert api.call("GET", "/health")["status"] == "ok"
    assert wrong_answer(route, "/", None) is None
    gitea.close()
    wire.close()


def test_a_webhook_is_sent_to_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    dispatch = Dispatch("1", f"{place.url}/hook", "whsec_c2VjcmV0", b"{}", datetime.now(UTC))
    assert "certificate verify failed" in (send(dispatch, ["127.0.0.1"]).error or "")

    monkeypatch.setenv("SSL_CERT_FILE", str(place.own.certificate))

    assert send(dispatch, ["127.0.0.1"]).error is None


def test_git_and_other_programs_are_told_of_the_file_that_is_named(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reaches() -> bool:
        asked = ["git", "ls-remote", f"{place.url}/shop.git"]
        environ = base_environment(tmp_path)
        return subprocess.run(asked, env=environ, capture_output=True, timeout=60, check=False).returncode == 0

    assert chosen_bundle() is None
    assert not reaches()

    monkeypatch.setenv("SSL_CERT_FILE", str(place.own.certificate))

    assert bundle() == chosen_bundle() == str(place.own.certificate)
    assert reaches()
