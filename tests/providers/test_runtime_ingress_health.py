"""What a cluster's app may answer through the ingress: redirects are followed on its own host alone."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from common.providers.runtime.cluster.ingress_health import IngressRoute, wrong_answer

OWN = "https://shop.example.org"


class _Ingress(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        name, _, more = self.path.strip("/").partition("/")
        is_ours = self.headers["Host"] == "shop.example.org"
        self.send_response(302 if name == "to" else int(name or 200) if is_ours else 421)
        if name == "to":
            self.send_header("Location", more)
        self.end_headers()
        if name != "to":
            self.wfile.write(b"all is well")


@pytest.fixture(scope="module")
def way() -> Iterator[IngressRoute]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Ingress) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield IngressRoute(f"http://127.0.0.1:{server.server_port}", OWN)
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "contains", "wrong"),
    [
        ("/", None, None),
        ("/", "all is well", None),
        ("/to//200", "all is well", None),
        (f"/to/{OWN}/200", None, None),
        (f"/to/{OWN}/to//200", None, None),
        ("/", "we are open", "it answers without the text 'we are open'"),
        ("/to//200", "we are open", "it answers without the text 'we are open'"),
        ("/404", None, "it answers 404"),
        ("/to//404", None, "it answers 404"),
        ("/to/https://login.example.org/", None, "it redirects to another host (login.example.org)"),
        ("/to//to//to//to//to//to//200", None, "it answers with more than 5 redirects"),
    ],
)
def test_an_answer_counts_on_the_apps_own_host(
    way: IngressRoute, path: str, contains: str | None, wrong: str | None
) -> None:
    assert wrong_answer(way, path, contains) == wrong


def test_nobody_there_is_no_answer() -> None:
    assert str(wrong_answer(IngressRoute("http://127.0.0.1:9", OWN), "/", None)).startswith("it does not answer")
