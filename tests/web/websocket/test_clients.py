"""Clients that people use: a browser, and the `websockets` library where it does what is rare."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from common.services import events
from tests.patience import PATIENCE_MS
from tests.web.websocket.feed_server import Person, Server, write_events

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning")

LISTEN = """([token, projectId, until]) => new Promise((done) => {
  const socket = new WebSocket(location.href.replace("http", "ws"));
  const heard = [];
  const say = (event, data) => socket.send(JSON.stringify({event, data}));
  socket.onopen = () => { say("auth", {token}); say("subscribe", {projectId, afterSeq: 0}); };
  socket.onmessage = ({data}) => {
    heard.push(JSON.parse(data));
    if (heard.at(-1).seq === until) say("auth", {token: "wrong"});
  };
  socket.onclose = ({code, wasClean}) => done({heard, code, wasClean, extensions: socket.extensions});
})"""


@pytest.mark.slow
def test_a_browser_hears_everything_and_is_closed_cleanly(
    server: Server, member: Person, project_id: str, browser: Browser
) -> None:
    write_events(project_id, 700, size=200)
    head = events.feed_heads([project_id])[project_id]
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.port}/", timeout=PATIENCE_MS)
    told = page.evaluate(LISTEN, [member.token, project_id, head])
    page.close()

    assert [message["event"] for message in told["heard"][:2]] == ["auth:ok", "subscribed"]
    assert [message["seq"] for message in told["heard"] if "seq" in message] == list(range(1, head + 1))
    assert told["heard"][-1]["event"] == "auth:error"
    assert (told["code"], told["wasClean"], told["extensions"]) == (4401, True, "")
