"""The documentation as pages: every link and picture leads somewhere, without a script and without a login."""

from __future__ import annotations

import re
import subprocess
from html import unescape
from pathlib import Path
from urllib.parse import urldefrag

import pytest
from flask import Flask
from flask.testing import FlaskClient

from web.page import documents
from web.page.documents import anchor_of
from web.page.routes import page

ROOT = Path(__file__).parents[3]
ADDRESSES = sorted(documents.address(name) for name in documents.names())


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    app = Flask("page", static_folder=None)
    app.register_blueprint(page)
    return app.test_client()


@pytest.fixture(scope="module")
def pages(client: FlaskClient) -> dict[str, str]:
    """The HTML of every page by its address."""
    replies = {address: client.get(address) for address in ADDRESSES}
    assert {reply.status_code for reply in replies.values()} == {200}
    return {address: reply.text for address, reply in replies.items()}


def _tracked(pattern: str) -> set[str]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern]
    return set(subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split())


def test_every_file_of_the_documentation_is_a_page() -> None:
    files = {name.removeprefix("docs/").removesuffix(".md") for name in _tracked("docs/*.md")}

    assert documents.names() == files | {"decisions"}
    assert len(ADDRESSES) > 30


@pytest.mark.slow
def test_every_page_is_in_the_list_beside_each(pages: dict[str, str]) -> None:
    listed = set(re.findall(r'<li><a href="(/docs/[^"#]+)"', pages["/docs"].split("</nav>")[0]))
    decisions = {address for address in ADDRESSES if address.startswith("/docs/decisions/")}

    assert listed == set(ADDRESSES) - decisions - {"/docs"}
    assert decisions <= set(re.findall(r'href="([^"]+)"', pages["/docs/decisions"]))


def test_every_link_leads_to_a_page_and_to_a_heading_of_it(client: FlaskClient, pages: dict[str, str]) -> None:
    anchors = {address: set(re.findall(r' id="([^"]+)"', text)) for address, text in pages.items()}
    broken = []
    for address, text in pages.items():
        for link in map(unescape, re.findall(r'(?:href|src)="([^"]+)"', text)):
            path, anchor = urldefrag(link)
            target = path or address
            if link.startswith(("http://", "https://")) or path in {"/", "/api/docs"}:
                continue
            known = target in pages or client.get(target).status_code == 200
            if not known or (anchor and anchor not in anchors[target]):
                broken.append((address, link))

    assert broken == []


def test_every_link_of_a_file_leads_to_a_file_on_a_forge_too() -> None:
    broken = []
    for name in _tracked("*.md"):
        for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text("utf-8")):
            path, anchor = urldefrag(link)
            target = (ROOT / name).parent / path if path else ROOT / name
            if link.startswith(("http://", "https://")) or "vendor" in name:
                continue
            headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE) if anchor else []
            if not target.exists() or (anchor and anchor not in map(anchor_of, headings)):
                broken.append((name, link))

    assert broken == []


def test_a_page_has_no_script_and_a_policy_that_lets_none_in(client: FlaskClient) -> None:
    reply = client.get("/docs/models")

    assert "<script" not in reply.text
    assert " style=" not in reply.text
    assert "unsafe" not in reply.headers["Content-Security-Policy"]
    assert "script-src 'self';" in reply.headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["nothing", "models.md", "../README", "..%2fREADME", "decisions/", "images/../models"])
def test_what_is_no_page_is_not_found(client: FlaskClient, name: str) -> None:
    assert client.get(f"/docs/{name}").status_code == 404


def test_text_of_a_document_is_shown_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "FOLDER", tmp_path)
    (tmp_path / "README.md").write_text("# All\n\n## Use\n\n- [One & two](one.md)\n")
    (tmp_path / "one.md").write_text(
        "# One & two\n\n## A `b` <c>\n\n## A `b` <c>\n\n<script>x</script> [next](one.md#a-b-c-1) [out](../x.md)\n"
    )

    html = documents.page("one")

    assert "<title>One &amp; two · AiWorker</title>" in html
    assert "&lt;script&gt;x&lt;/script&gt;" in html
    assert re.findall(r'<h2 id="([^"]+)"', html) == ["a-b-c", "a-b-c-1"]
    assert '<a href="/docs/one#a-b-c-1">next</a> <a>out</a>' in html
