"""What a visit costs: few requests, compressed, and of a second one only the page itself."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from web.page.routes import page

MOST_BYTES = 150_000
MOST_REQUESTS = 15
BYTES_OF_A_HEAD = 700
"""Our own headers and what a proxy adds."""
GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("page", static_folder=None)
    app.register_blueprint(page)
    return app.test_client()


def _first_load(client: FlaskClient) -> dict[str, TestResponse]:
    """The page, and all that a browser asks for to draw it, by address."""
    replies = {"/": client.get("/", headers=GZIP)}
    waiting = re.findall(r'(?:src|href)="(/static/[^"]+)"', gzip.decompress(replies["/"].data).decode())
    for address in waiting:
        if address not in replies:
            replies[address] = client.get(address, headers=GZIP)
            waiting += _named(replies[address])
    return replies


def _named(reply: TestResponse) -> Iterator[str]:
    """What a browser asks for as soon as it has this."""
    body = gzip.decompress(reply.data).decode() if reply.content_encoding == "gzip" else ""
    if reply.mimetype == "text/css":
        yield from re.findall(r'url\("(/static/[^"]+)"\)', body)
    if reply.mimetype == "text/javascript":
        assert not re.search(r"^import\b", body, re.MULTILINE), "the first script needs another one"


def test_the_first_load_is_small(client: FlaskClient) -> None:
    replies = _first_load(client)

    assert {address: reply.status_code for address, reply in replies.items()} == dict.fromkeys(replies, 200)
    assert {reply.mimetype for reply in replies.values()} == {
        "text/html",
        "text/css",
        "text/javascript",
        "image/svg+xml",
        "font/woff2",
    }
    # The rest of the requests is what the board asks of the API.
    assert len(replies) <= MOST_REQUESTS // 2
    assert sum(len(reply.data) + BYTES_OF_A_HEAD for reply in replies.values()) <= MOST_BYTES * 0.8


def test_a_second_visit_asks_for_the_page_alone(client: FlaskClient) -> None:
    replies = _first_load(client)

    again = {address for address, reply in replies.items() if "immutable" not in reply.headers["Cache-Control"]}
    assert again == {"/"}
    assert replies["/"].headers["Cache-Control"] == "no-cache"
    asked = client.get("/", headers=GZIP | {"If-None-Match": replies["/"].headers["ETag"]})
    assert (asked.status_code, asked.data) == (304, b"")
    assert asked.headers["Content-Security-Policy"] == replies["/"].headers["Content-Security-Policy"]


@pytest.mark.parametrize("accepted", ["gzip", "GZIP;q=0.5, br", "*"])
def test_what_accepts_gzip_gets_it(client: FlaskClient, accepted: str) -> None:
    plain = client.get("/static/css/base.css")
    packed = client.get("/static/css/base.css", headers={"Accept-Encoding": accepted})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] != packed.headers["ETag"]
