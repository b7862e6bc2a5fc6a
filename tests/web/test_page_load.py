"""What a visit costs: few requests, compressed, and of a second one only the page itself."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from common.settings import settings
from web.page import page

MOST_BYTES = 150_000
MOST_REQUESTS = 15
BYTES_OF_A_HEAD = 700
"""Our own headers and what a proxy adds."""
SAID_LATER = ("server-sentences", "es-server")
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


def _bundled(client: FlaskClient, module: str) -> str:
    """The address of a module that is loaded later."""
    (name,) = re.findall(rf'"/static/(bundled/{module}-[0-9a-f]{{16}}\.mjs)"', client.get("/").text)
    return str(name)


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


def test_the_first_load_is_small_in_spanish_too(client: FlaskClient) -> None:
    replies = _first_load(client)
    catalogue = client.get(f"/static/{_bundled(client, 'es')}", headers=GZIP)

    # What the server says in Spanish is loaded with the first such sentence, of which most visits show none, and what
    # later parts say with the first of these.
    assert not [address for address in replies if "/server-sentences" in address or "/es-" in address]
    assert len(replies) + 1 <= MOST_REQUESTS // 2
    whole = [*replies.values(), catalogue]
    assert sum(len(reply.data) + BYTES_OF_A_HEAD for reply in whole) <= MOST_BYTES * 0.9
    sentences = [client.get(f"/static/{_bundled(client, name)}", headers=GZIP) for name in SAID_LATER]
    assert sum(len(reply.data) for reply in sentences) <= MOST_BYTES * 0.25


def test_a_second_visit_asks_for_the_page_alone(client: FlaskClient) -> None:
    replies = _first_load(client)

    again = {address for address, reply in replies.items() if "immutable" not in reply.headers["Cache-Control"]}
    assert again == {"/"}
    assert replies["/"].headers["Cache-Control"] == "no-cache"
    asked = client.get("/", headers=GZIP | {"If-None-Match": replies["/"].headers["ETag"]})
    assert (asked.status_code, asked.data) == (304, b"")
    assert asked.headers["Content-Security-Policy"] == replies["/"].headers["Content-Security-Policy"]


def test_libraries_for_diffs_and_markdown_are_not_in_the_first_load(client: FlaskClient) -> None:
    texts = [gzip.decompress(reply.data) for reply in _first_load(client).values() if reply.content_encoding == "gzip"]

    assert [text for text in texts if b"DOMPurify.sanitize = " in text or b"Diff2Html=" in text] == []
    assert any(b"vendor/preact-" in text for text in texts)


@pytest.mark.parametrize("accepted", ["gzip", "GZIP;q=0.5, br", "*"])
def test_what_accepts_gzip_gets_it(client: FlaskClient, accepted: str) -> None:
    plain = client.get("/static/css/base.css")
    packed = client.get("/static/css/base.css", headers={"Accept-Encoding": accepted})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] != packed.headers["ETag"]


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0"])
def test_what_does_not_accept_gzip_gets_the_file_as_it_is(client: FlaskClient, accepted: str) -> None:
    for address in ["/", *_first_load(client)]:
        reply = client.get(address, headers={"Accept-Encoding": accepted})
        assert reply.status_code == 200
        assert "Content-Encoding" not in reply.headers


def test_a_bundled_files_name_holds_the_hash_of_its_content(client: FlaskClient) -> None:
    names = re.findall(r'"/static/(bundled/[^"]+)"', client.get("/").text)

    assert len(names) > 10
    for name in names:
        digest = hashlib.sha256(client.get(f"/static/{name}").data).hexdigest()
        assert f"-{digest[:16]}." in name


def test_a_file_that_is_not_in_the_bundle_is_not_found(client: FlaskClient) -> None:
    assert client.get("/static/bundled/main-0123456789abcdef.mjs").status_code == 404
    assert client.get("/static/bundled/../page.py").status_code == 404


def test_what_is_compressed_already_is_sent_as_it_is(client: FlaskClient) -> None:
    font = client.get("/static/vendor/inter-5.3.0/inter-latin-wght-normal.woff2", headers=GZIP)

    assert "Content-Encoding" not in font.headers
    assert "Vary" not in font.headers


def test_who_works_on_the_page_gets_the_sources(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = client.get("/")
    monkeypatch.setenv("AIWORKER_PAGE_SOURCES", "1")
    settings.cache_clear()
    try:
        plain = client.get("/")
    finally:
        monkeypatch.undo()
        settings.cache_clear()

    assert 'src="/static/app/main.mjs"' in plain.text
    assert "bundled/" not in plain.text
    assert "/static/app/" not in bundled.text
