"""The page in a Chromium whose requests this process's app answers: real rows and replies, no server and no socket."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from playwright.sync_api import Browser, Locator, Page, Request, Route
from werkzeug.test import TestResponse

from tests.builders import log_in
from tests.e2e.browser import KEEP_MESSAGES
from tests.long_waits import LONG_WAIT_MS

ORIGIN = "http://localhost:9"
_STOP_REGULAR_READS = """rare => {
  const begin = window.setInterval;
  window.setInterval = (act, ms, ...rest) => begin(act, ms >= rare ? 2 ** 31 - 1 : ms, ...rest);
}"""
_RARE_MS = 4000
"""What the page does this seldom or less it does only where a test sets its clock: on a busy machine it might be due
amid a test's steps.
"""
_SOON_MS = 300
"""The page waits at most this long for more events before it reads what they tell of."""
_COUNT_PLANNED = """soon => {
  const planned = new Set();
  const { setTimeout: begin, clearTimeout: end } = window;
  window.setTimeout = (act, ms, ...rest) => {
    if (!(ms <= soon)) return begin(act, ms, ...rest);
    const id = begin(() => {
      planned.delete(id);
      act(...rest);
    }, ms);
    planned.add(id);
    return id;
  };
  window.clearTimeout = id => {
    planned.delete(id);
    end(id);
  };
  window.planned = planned;
}"""
"""What the page will do within `soon` milliseconds: the set `planned`."""
_DRAWN = "() => new Promise(done => requestAnimationFrame(() => setTimeout(() => done(planned.size))))"
_SIGN_IN = "tokens => localStorage.setItem('aiworker.session', JSON.stringify(tokens))"


class PageReader:
    """Somebody signed in at the page. There are no live messages: `hear` brings one."""

    def __init__(self, browser: Browser, app: Flask, username: str) -> None:
        self._client = app.test_client()
        self._context = browser.new_context(viewport={"width": 1280, "height": 800})
        self._context.set_default_timeout(LONG_WAIT_MS)
        self._context.add_init_script(KEEP_MESSAGES)
        self._context.add_init_script(f"({_STOP_REGULAR_READS})({_RARE_MS})")
        self._context.add_init_script(f"({_COUNT_PLANNED})({_SOON_MS})")
        self.page: Page = self.new_tab()
        self._asked: set[Request] = set()
        self.page.on("request", lambda request: self._asked.add(request))
        self.page.on("requestfinished", lambda request: self._asked.discard(request))
        self.page.on("requestfailed", lambda request: self._asked.discard(request))
        tokens = {**log_in(self._client, username), "expiresAt": 9e15}
        self._context.add_init_script(f"({_SIGN_IN})({json.dumps(tokens)})")

    def new_tab(self) -> Page:
        """Another page of the same browser, with the same login."""
        page = self._context.new_page()
        page.route("**/*", self._answer)
        return page

    def open(self, hash_: str = "#/") -> None:
        self.page.goto(f"{ORIGIN}/{hash_}")

    def see(self, testid: str) -> Locator:
        return self.page.get_by_test_id(testid).filter(visible=True)

    def hear(self, event: str, project_id: str, **data: Any) -> None:
        """The page is told this as by its socket's notices."""
        message = {"event": event, "projectId": project_id, "data": data}
        tell = "async message => (await import('/static/app/views/frame/task-notices.mjs')).showNotice(message)"
        self.page.evaluate(tell, message)

    def hear_of_state(self, project_id: str, task_id: str, state: str) -> None:
        """The board is told of a task's new state as by its socket."""
        data = {"taskId": task_id, "newState": state}
        message = {"event": "task:status_changed", "projectId": project_id, "data": data}
        act = "async message => (await import('/static/app/state/board-tasks.mjs')).applyTaskEvent(message, () => {})"
        self.page.evaluate(act, message)

    def settle(self) -> None:
        """Wait until nothing is asked for or about to be, and what was answered is drawn."""
        quiet = 0
        while quiet < 2:
            planned = self.page.evaluate(_DRAWN)
            quiet = 0 if self._asked or planned else quiet + 1

    def close(self) -> None:
        self._context.close()

    def send(self, request: Request) -> TestResponse:
        """What the app answers to a request of the page."""
        address = urlsplit(request.url)
        return self._client.open(
            f"{address.path}?{address.query}", method=request.method, headers=request.headers,
            data=request.post_data_buffer,
        )  # fmt: skip

    def _answer(self, route: Route, request: Request) -> None:
        reply = self.send(request)
        route.fulfill(status=reply.status_code, headers=dict(reply.headers), body=reply.data)
