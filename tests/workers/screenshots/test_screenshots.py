"""The platform's browser on pages that are made to harm it: a picture or a reason, and nothing else in reach."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from common.machine.programs.bubblewrap import SandboxFinding
from tests.long_waits import LONG_WAIT_SECONDS
from tests.png import pixel
from workers.screenshots import screenshots
from workers.screenshots.screenshots import NoScreenshot, RunningBrowser, ScreenshotBrowser

GREEN, RED = (0, 128, 0), (255, 0, 0)
COLOURED = "<!doctype html><style>html{{background:{}}}</style>"


@dataclass
class Site:
    """A web server. pages: by path; a path without a page never answers. seen: the paths that were asked for."""

    pages: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    seen: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    site: Site


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        site = self.server.site
        site.seen.append(self.path)
        page = site.pages.get(self.path, "" if self.path == "/favicon.ico" else None)
        if page is None:
            site.over.wait(60)
            return
        self.send_response(site.status if self.path == "/" else 200)
        for name, value in {"Content-Type": "text/html", **(site.headers if self.path == "/" else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's own name)
        """Nothing: a test's output is the test's."""


@contextlib.contextmanager
def _served(site: Site) -> Iterator[Site]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.site, site.port = site, server.server_port
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield site
    site.over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    with _served(Site()) as made:
        yield made


@pytest.fixture
def other() -> Iterator[Site]:
    """Another port of this machine, such as the platform's own."""
    made = Site(pages={"/": COLOURED.format("red"), "/data": "secret"}, headers={"Access-Control-Allow-Origin": "*"})
    with _served(made):
        yield made


@pytest.fixture
def browser(whole_chromium_path: str, confining: SandboxFinding, tmp_path: Path) -> ScreenshotBrowser:
    return ScreenshotBrowser(Path(whole_chromium_path), tmp_path / "pictures", hidden=(tmp_path,))


@pytest.fixture
def browser_process(browser: ScreenshotBrowser) -> Iterator[RunningBrowser]:
    with browser.ready() as ready:
        yield ready


@pytest.mark.slow
def test_a_picture_shows_the_page(browser_process: RunningBrowser, site: Site) -> None:
    site.pages["/"] = COLOURED.format("green") + "<script>document.title = 1</script>"

    content = browser_process.take(site.url)

    assert [pixel(content, x, y) for x, y in ((0, 0), (1279, 0), (640, 400), (1279, 799))] == [GREEN] * 4
    # Nothing is left but the lock.
    assert os.listdir(browser_process.directory) == ["camera.lock"]


@pytest.mark.slow
def test_a_page_that_never_answers_or_never_rests_has_no_picture(
    browser_process: RunningBrowser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screenshots, "MOST_SECONDS", 6.0)
    site.pages["/busy"] = "<script>for (;;) {}</script>"

    for path in ("/unanswered", "/busy"):
        with pytest.raises(NoScreenshot, match="The page was not drawn within 6 s"):
            browser_process.take(site.url + path)


@pytest.mark.parametrize("how", ["redirect", "script", "frame and fetch", "metadata"])
def test_nothing_but_the_preview_is_reached(browser_process: RunningBrowser, site: Site, other: Site, how: str) -> None:
    green = COLOURED.format("green")
    site.pages["/"] = green
    if how == "redirect":
        site.status, site.headers = 302, {"Location": f"{other.url}/"}
    elif how == "script":
        site.pages["/"] += f"<script>location = 'http://127.0.0.1:{other.port}/'</script>"
    elif how == "metadata":
        site.status, site.headers = 302, {"Location": "http://169.254.169.254/latest/meta-data/"}
    else:
        site.pages["/"] += f"<iframe src={other.url}/></iframe><script>fetch('{other.url}/data'); " + (
            f"fetch('http://[::1]:{other.port}/data'); new WebSocket('ws://127.0.0.1:{other.port}/data')</script>"
        )

    try:
        content = browser_process.take(site.url)
    except NoScreenshot:
        content = b""

    assert site.seen[:1] == ["/"]
    assert other.seen == []
    assert not content or pixel(content, 640, 400) != RED


@pytest.mark.parametrize("path", ["file:///etc/passwd", "chrome://version", "javascript:1"])
def test_only_web_pages_are_pictured(browser_process: RunningBrowser, path: str) -> None:
    with pytest.raises(NoScreenshot, match="not an http or https address"):
        browser_process.take(path)


ANSWERS = r"""
import base64, json, os, struct, sys
def say(content): os.write(4, content + b"\0")
def ask():
    heard = b""
    while not heard.endswith(b"\0"): heard += os.read(3, 1)
    return json.loads(heard[:-1])
def answer(data=None):
    asked = ask()
    say(json.dumps({"id": asked["id"], "result": {"data": data}}).encode())
    if asked["method"] == "Page.navigate": say(b'{"method": "Page.loadEventFired"}')
def answer_all(data):
    while True: answer(data)
png = struct.pack(">8sI4sII", b"\x89PNG\r\n\x1a\n", 13, b"IHDR", 1280, 800)
"""


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("sys.exit(3)", "exited with 3"),
        ("while True: os.read(3, 1)", "The browser did not start within 3 s"),
        ("answer(); answer(); answer(); ask(); os.read(3, 1)", "The page was not drawn within 4 s"),
        ("say(b'[' * 100000); ask(); ask()", "said what no browser says"),
        ("while True: os.write(4, b'x' * 65536)", "said what no browser says"),
        ("answer_all('?')", "something else than a picture of 1280×800"),
        ("answer_all(base64.b64encode(png[:-1] + b'x').decode())", "something else than a picture of 1280×800"),
        ("answer_all(base64.b64encode(png + bytes(2**20)).decode())", "larger than 1 MiB"),
    ],
)
def test_what_the_browser_says_is_not_believed(
    tmp_path: Path, confining: SandboxFinding, does: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "not start within" in says:
        monkeypatch.setattr(screenshots, "START_SECONDS", 3.0)
    monkeypatch.setattr(screenshots, "MOST_SECONDS", 4.0 if "not drawn within" in says else LONG_WAIT_SECONDS)
    if says.startswith("exited"):
        monkeypatch.setattr(screenshots, "_END_SECONDS", 60.0)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "chromium"
    program.write_text(f"#!{sys.executable}\n{ANSWERS}\n{does}\n")
    program.chmod(0o755)

    with (
        ScreenshotBrowser(program, tmp_path / "pictures").ready() as browser_process,
        pytest.raises(NoScreenshot, match=says),
    ):
        browser_process.take("http://localhost:9")


def test_one_picture_is_taken_at_a_time(browser: ScreenshotBrowser) -> None:
    with browser.ready(), pytest.raises(BlockingIOError), browser.ready():
        pass
    with browser.ready():
        pass
