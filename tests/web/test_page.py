"""The page is whole, asks no other host, and its policy lets nothing in but itself."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urljoin

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.settings import settings
from web.page.routes import STATIC, addresses_of_previews, page

OURS = sorted(
    path
    for path in STATIC.rglob("*")
    if path.suffix in {".css", ".html", ".mjs", ".svg"} and "vendor" not in path.relative_to(STATIC).parts
)


@pytest.fixture
def client() -> FlaskClient:
    """Gets the page as people do: bundled."""
    app = Flask("page", static_folder=None)
    app.register_blueprint(page)
    return app.test_client()


@pytest.fixture
def sources(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """Gets the sources, as who works on the page."""
    monkeypatch.setitem(client.application.config, "PAGE_SOURCES", True)
    return client


def _import_map(html: str) -> dict[str, str]:
    text = re.findall(r'<script type="importmap">(.*?)</script>', html, re.DOTALL)[0]
    return dict(json.loads(text)["imports"])


def _modules(client: FlaskClient) -> Iterator[tuple[str, str, str]]:
    """Every module that `/` reaches: its address, its type and its text."""
    html = client.get("/").text
    names = _import_map(html)
    waiting = re.findall(r'<script type="module" src="([^"]+)"', html)
    seen: set[str] = set()
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        reply = client.get(address)
        assert reply.status_code == 200, f"{address} is imported but not served"
        yield address, reply.content_type, reply.text
        for said in re.findall(r'\b(?:from|import)\s*\(?["\']([^"\'\s]+)["\']', reply.text):
            if said.startswith((".", "/")):
                waiting.append(urljoin(address, said))
            elif said in names:
                waiting.append(names[said])


def test_every_module_that_the_page_imports_is_served_as_a_script(sources: FlaskClient) -> None:
    modules = list(_modules(sources))

    ours = {f"/static/{path.relative_to(STATIC).as_posix()}" for path in OURS if path.suffix == ".mjs"}
    assert {address for address, _, _ in modules} >= ours - {"/static/app/docs.mjs"}
    assert {kind for _, kind, _ in modules} == {"text/javascript; charset=utf-8"}


def test_every_static_file_that_a_module_or_a_style_names_is_served(client: FlaskClient) -> None:
    named = {name for path in OURS for name in re.findall(r'"(/static/[^"]+)"', path.read_text("utf-8"))}

    assert len(named) > 10
    assert [name for name in named if client.get(name).status_code != 200] == []


@pytest.mark.parametrize(("address", "framed"), [("/", "http://localhost:*"), ("/api/docs", "'none'")])
def test_the_policy_lets_nothing_unsafe_in(client: FlaskClient, address: str, framed: str) -> None:
    whole = client.get(address).headers["Content-Security-Policy"]

    # Previews are framed, and have addresses of their own.
    policy, frames = whole.replace(f"; frame-src {framed};", ";"), whole.count("frame-src")
    assert (frames, "frame-src" in policy) == (1, False)
    assert "unsafe-" not in policy
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "*" not in policy
    assert "http" not in policy


@pytest.mark.parametrize(
    ("host", "framed"),
    [
        ("localhost", "http://localhost:*"),
        ("previews.example.com", "http://previews.example.com:*"),
        ("::1", "'none'"),
        ("x; script-src *", "'none'"),
        ("*", "'none'"),
    ],
)
def test_only_previews_are_framed(host: str, framed: str) -> None:
    assert addresses_of_previews(replace(settings().runtime, public_host=host)) == framed


def test_the_import_map_is_allowed_by_its_hash(client: FlaskClient) -> None:
    reply = client.get("/")
    text = re.findall(r'<script type="importmap">(.*?)</script>', reply.text, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert f"script-src 'self' 'sha256-{digest}'" in reply.headers["Content-Security-Policy"]


def test_the_only_inline_script_is_the_import_map() -> None:
    for name in ("index.html", "docs.html"):
        html = (STATIC / name).read_text("utf-8")
        scripts = re.findall(r"<script([^>]*)>", html)
        assert all("src=" in attributes or 'type="importmap"' in attributes for attributes in scripts)
        assert not re.search(r"<style|\son\w+=|\sstyle=", html)


def test_our_own_files_name_no_other_host() -> None:
    namespaces = ("http://www.w3.org/2000/svg",)
    # A text of a catalogue may name an address as an example.
    for path in (path for path in OURS if path.parent.name != "languages"):
        text = path.read_text("utf-8")
        for namespace in namespaces:
            text = text.replace(namespace, "")
        assert re.findall(r"https?://[\w.]+", text) == [], path
        assert re.findall(r'["\'(]//[\w.]+', text) == [], path


def test_our_files_are_asked_for_again_and_vendored_ones_are_kept(sources: FlaskClient) -> None:
    ours = sources.get("/static/app/main.mjs")
    vendored = sources.get(_import_map(sources.get("/").text)["preact"])

    assert ours.headers["Cache-Control"] == "no-cache"
    assert sources.get("/static/app/main.mjs", headers={"If-None-Match": ours.headers["ETag"]}).status_code == 304
    assert "immutable" in vendored.headers["Cache-Control"]
    assert vendored.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "name", ["../page.py", "app/../../page.py", "%2e%2e/page.py", "no.mjs", "app", "a%00b", "VENDOR.md"]
)
def test_nothing_but_the_pages_own_files_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


def test_the_vendored_files_are_those_that_the_list_names() -> None:
    folder = STATIC / "vendor"
    listed = dict(re.findall(r"`([^`]+/[^`]+)` \| `([0-9a-f]{64})`", (folder / "VENDOR.md").read_text("utf-8")))
    found = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(("LICENSE", "NOTICE", "VENDOR"))
    }

    assert found == listed
