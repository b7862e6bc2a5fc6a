"""A hostile preview in a real browser, framed by the page and in a tab of its own: it gets nothing of the session."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.e2e.browser import Person
from tests.e2e.contract.caller import Caller
from tests.e2e.instance import Instance, wait_until
from tests.e2e.scripted_run import ScriptedRun
from tests.long_waits import LONG_WAIT_MS

pytestmark = pytest.mark.slow

SERVER = r"""
import http.server, json, os, pathlib

SEEN = []

class Hostile(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/seen":
            body, kind = json.dumps(SEEN).encode(), "application/json"
        else:
            SEEN.append({"path": self.path, "headers": dict(self.headers.items())})
            body, kind = pathlib.Path("hostile.html").read_bytes(), "text/html"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "aiworker.session=planted; Path=/; HttpOnly")
        self.send_header("Set-Cookie", "access_token_cookie=planted; Path=/")
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Hostile).serve_forever()
"""

# Each attempt writes what came of it; `page` is the origin of AiWorker's page.
ATTACK = r"""<!doctype html>
<title>preview</title>
<p id="said">working</p>
<a id="out" target="_top" href="/away">out</a>
<form id="form" target="_top" action="/away"></form>
<script>
const page = "PAGE";
const report = {};
const attempt = async (name, act) => {
  try { report[name] = String(await act()); } catch (error) { report[name] = `refused: ${error.name}`; }
};
const others = [window.parent, window.top].filter((one) => one !== window);
addEventListener("message", (event) => { report.told = JSON.stringify(event.data); });
(async () => {
  await attempt("own storage", () => localStorage.getItem("aiworker.session"));
  await attempt("cookies", () => document.cookie);
  await attempt("plants a cookie", () => { document.cookie = "aiworker.session=stolen; path=/"; });
  await attempt("opener", () => window.opener);
  await attempt("referrer", () => document.referrer || "none");
  for (const other of others) {
    await attempt("storage of the page", () => other.localStorage.getItem("aiworker.session"));
    await attempt("document of the page", () => other.document.body.innerHTML);
    await attempt("asks the page", () => other.postMessage({ event: "auth", token: true }, "*"));
  }
  await attempt("api with credentials", async () =>
    (await fetch(`${page}/api/auth/me`, { credentials: "include" })).text());
  await attempt("api unseen", async () =>
    (await fetch(`${page}/api/tokens`, { method: "POST", credentials: "include", mode: "no-cors" })).type);
  await attempt("frames the page", () => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.onload = () => {
      try { resolve(frame.contentDocument ? "read" : "nothing to read"); } catch (error) { resolve(error.name); }
    };
    frame.src = `${page}/`;
    document.body.append(frame);
  }));
  await attempt("opens a window", () => window.open(`${page}/`, "_blank"));
  if (others.length) {
    await attempt("replaces the page", () => { window.top.location.href = "about:blank"; });
    await attempt("leads the page away", () => document.getElementById("out").click());
    await attempt("sends the page away", () => document.getElementById("form").submit());
  }
  document.getElementById("said").textContent = JSON.stringify(report);
})();
</script>
"""


@pytest.fixture
def on_localhost(chromium_browser: Browser, quiet_instance: Instance) -> Iterator[Person]:
    """Somebody at the page on the host of the previews, where cookies are shared."""
    someone = Person(chromium_browser, f"http://localhost:{quiet_instance.port}")
    someone.log_in("admin", quiet_instance.password)
    someone.wait("live-status", state="on")
    yield someone
    someone.close()


@dataclass(frozen=True)
class Hostile:
    """A task whose preview attacks whoever looks at it. url: the preview's."""

    talk: ScriptedRun
    url: str


@pytest.fixture(scope="module")
def hostile(quiet_api: Caller, quiet_instance: Instance, tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    talk = ScriptedRun(quiet_api, tmp_path_factory.mktemp("agent"), "Hostile")
    project_id = talk.task["projectId"]
    quiet_api.patch(f"/projects/{project_id}", {"startCommand": "python3 server.py"})
    attack = ATTACK.replace("PAGE", f"http://localhost:{quiet_instance.port}")
    talk.run.complete({"server.py": SERVER, "hostile.html": attack})

    def url() -> str | None:
        found: str | None = quiet_api.get(f"/tasks/{talk.task['id']}")["task"]["previewUrl"]
        return found

    wait_until("the preview", lambda: url() is not None)
    found = url()
    assert found is not None
    return Hostile(talk, found)


def said(by: Page | FrameLocator) -> dict[str, Any]:
    """What the preview could do, once it has tried everything."""
    place = by.locator("#said")
    expect(place).to_have_text(re.compile(r"^\{"), timeout=LONG_WAIT_MS)
    return dict(json.loads(place.inner_text()))


def still_signed_in(person: Person, where: str) -> None:
    """The page is where it was, live, and its session works, after a reload too."""
    assert person.page.url == where
    person.page.reload()
    person.wait("live-status", state="on")
    person.go("Account and tokens")
    expect(person.see("who")).to_contain_text("admin")


def secrets_of(person: Person) -> list[str]:
    kept = json.loads(person.page.evaluate("localStorage.getItem('aiworker.session')"))
    return [kept["accessToken"], kept["refreshToken"]]


def test_a_framed_preview_reaches_nothing_of_the_page(on_localhost: Person, hostile: Hostile) -> None:
    person = on_localhost
    hostile.talk.look(person)
    where, secrets = person.page.url, secrets_of(person)

    person.click("preview-show")
    frame = person.wait("preview-frame")
    report = said(person.page.frame_locator('[data-testid="preview-frame"]'))

    assert frame.get_attribute("sandbox") == "allow-scripts allow-forms allow-same-origin"
    assert urlsplit(hostile.url).hostname == urlsplit(person.url).hostname
    assert report["storage of the page"] == report["document of the page"] == "refused: SecurityError"
    assert report["own storage"] == "null"
    assert report["api with credentials"] == "refused: TypeError"
    assert report["frames the page"] == "nothing to read"
    assert report["opens a window"] == "null"
    assert report["replaces the page"] == "refused: SecurityError"
    assert report["referrer"] == "none"
    assert "told" not in report
    assert len(person.page.context.pages) == 1
    seen = person.page.request.get(f"{hostile.url}/seen").text()
    assert not any(secret in text for secret in secrets for text in (seen, json.dumps(report)))
    assert "Authorization" not in seen
    still_signed_in(person, where)
