"""A person at the web page: a real Chromium of its own profile, watched for everything that a page must not do."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    WebSocket,
    expect,
    sync_playwright,
)

from tests.long_waits import LONG_WAIT_MS
from web.page.routes import STATIC

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-quic",
]  # fmt: skip
expect.set_options(timeout=LONG_WAIT_MS)
ACCOUNT_MS = 10_000
"""How long a page is asked what it shows after a test has failed."""

# Chromium's own line for a reply that a test provokes: a refused password, a head that moved.
_REFUSED = re.compile(r"Failed to load resource: the server responded with a status of (401|409) ")

# And for a diff that this machine could not read in 5 s, because it is busy: the page says so and reads it again.
_BUSY = re.compile(r"Failed to load resource: the server responded with a status of 503 ")

_REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.violatedDirective} by ${event.blockedURI}`));
"""

_NOTE_POINTING = """
globalThis.pointing = [];
for (const name of ["pointerdown", "pointerup", "click", "keydown"])
  addEventListener(name, ({ target, clientX = "", clientY = "" }) => {
    const what = target.dataset?.testid || target.nodeName;
    pointing.push(`${Math.round(performance.now())} ms: ${name} ${what} ${clientX} ${clientY}`);
    if (pointing.length > 40) pointing.shift();
  }, true);
"""


_MESSAGE_MS = [int(ms) for ms in re.findall(r"\b\d{4}\b", (STATIC / "app/browser/toasts.mjs").read_text("utf-8"))]
assert len(_MESSAGE_MS) == 2, "how long the page shows a message"
KEEP_MESSAGES = f"""(shown => {{
  const begin = window.setTimeout;
  window.setTimeout = (act, ms, ...rest) => begin(act, shown.includes(ms) ? 2 ** 31 - 1 : ms, ...rest);
}})({_MESSAGE_MS});
"""
"""A message that the page shows for some seconds stays: a busy machine may take longer to look at it."""


@contextlib.contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A browser with a new profile, gone afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def stopped_clock(page: Page) -> Iterator[None]:
    """No time passes for the page: what it shows for some seconds stays, and what it does after some waits."""
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 60)
    yield
    page.clock.resume()


def stop_clock(page: Page) -> None:
    """No time passes for the page from now on, but a second at most. Its clock is installed."""
    try:
        page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    except Error:
        # A busy machine took longer than that second. The clock stands still since.
        page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)


class Person:
    """url: the instance's. problems: what the page did that it must not; empty is good.

    follows: the ids of the projects whose events the page's socket brings.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self.url = url
        self.problems: list[str] = []
        self.follows: set[str] = set()
        self._host = urlsplit(url).netloc
        self._context = browser.new_context(viewport={"width": 1280, "height": 800})
        self._context.set_default_timeout(LONG_WAIT_MS)
        self._context.add_init_script(_REPORT_VIOLATIONS + _NOTE_POINTING + KEEP_MESSAGES)
        self.page: Page = self._context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.page.on("request", self._asked)
        self.page.on("websocket", self._connected)

    def open(self) -> None:
        self.page.goto(self.url)

    def log_in(self, username: str, password: str) -> None:
        self.open()
        self.fill("login-username", username)
        self.fill("login-password", password)
        self.click("login-submit")

    def see(self, testid: str, **data: str) -> Locator:
        """What carries this data-testid and can be seen; data attributes besides: task_id="…" is data-task-id."""
        narrowed = "".join(f'[data-{name.replace("_", "-")}="{value}"]' for name, value in data.items())
        return self.page.locator(f'[data-testid="{testid}"]{narrowed}').filter(visible=True)

    def card(self, title: str) -> Locator:
        """The card of the task with this title, or with a title that has this in it. Other tasks' cards may name it."""
        return self.see("task-card").filter(has=self.page.locator(".card-title", has_text=title))

    def click(self, testid: str, **data: str) -> None:
        self.see(testid, **data).click()

    def fill(self, testid: str, text: str) -> None:
        self.see(testid).fill(text)

    def go(self, link: str) -> None:
        """Follow a link of the side bar."""
        self.open_side_bar()
        self.page.get_by_role("navigation").get_by_role("link", name=link, exact=True).click()

    def open_side_bar(self) -> None:
        """On a narrow screen it is behind a button; elsewhere it is there."""
        menu = self.page.get_by_role("button", name="Menu", exact=True)
        if menu.is_visible() and menu.get_attribute("aria-expanded") == "false":
            menu.click()

    def wait(self, testid: str, **data: str) -> Locator:
        """Wait, without touching the page, until it shows this."""
        found = self.see(testid, **data)
        expect(found).to_be_visible(timeout=LONG_WAIT_MS)
        return found

    def read_out(self, link: Locator) -> str:
        """What the page behind a link says; it opens in a tab of its own, as the link wants it."""
        with self.page.expect_popup() as opened:
            link.click()
        try:
            opened.value.wait_for_load_state()
            return opened.value.locator("body").inner_text().strip()
        finally:
            opened.value.close()

    def account(self) -> str:
        """What is on the page now, what was last pressed on it, and its problems: for the report of a failed test."""
        try:
            shown = self.page.locator("body").aria_snapshot(timeout=ACCOUNT_MS)
            pressed = self.page.evaluate("pointing.join('\\n')")
        except Error as error:
            return f"The page can't be asked any more: {error.message}"
        return "\n".join([self.page.url, "Problems:", *self.problems, "Pressed:", pressed, "Shown:", shown])

    def close(self) -> None:
        self._context.close()

    def _heard(self, message: ConsoleMessage) -> None:
        is_busy = _BUSY.match(message.text) and str(message.location.get("url")).endswith("/diff")
        if message.type in {"error", "warning"} and not _REFUSED.match(message.text) and not is_busy:
            self.problems.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _connected(self, socket: WebSocket) -> None:
        self.follows.clear()
        socket.on("framereceived", self._told)

    def _told(self, message: str | bytes) -> None:
        told = json.loads(message)
        if told["event"] == "subscribed":
            self.follows.add(told["data"]["projectId"])

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob"} and address.netloc != self._host:
            self.problems.append(f"it asked another host: {request.url}")
