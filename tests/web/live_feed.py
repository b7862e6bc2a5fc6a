"""The server's end of the page's WebSocket, so that a test says what it answers and which events it tells."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page, WebSocketRoute

from tests.e2e.instance import wait_until


class LiveFeed:
    """Answers as web/websocket/protocol.py does, and tells events of a project only to who has subscribed to it.

    refusals: for a project's id, what its next subscriptions are refused with, first to last.
    """

    SEQ = 100
    """Which event of a feed is the newest when it is subscribed to."""

    def __init__(self, page: Page) -> None:
        self.refusals: dict[str, list[str]] = {}
        self._page = page
        self._subscribed: set[str] = set()
        self._denied: set[str] = set()
        self._sockets: list[WebSocketRoute] = []
        page.route_web_socket("**/ws", self._open)

    def tell(self, event: str, project_id: str, seq: int, **data: Any) -> None:
        """Once the page has subscribed to the project. To whom that is denied, nothing is told."""
        wait_until(f"a subscription to {project_id}", lambda: self._has_answered(project_id))
        if project_id in self._subscribed:
            self._say(event, projectId=project_id, seq=seq, data=data)

    def end_access(self, project_id: str) -> None:
        self._subscribed.discard(project_id)
        self._denied.add(project_id)
        self._say("unsubscribed", data={"projectId": project_id, "reason": "access ended"})

    def _has_answered(self, project_id: str) -> bool:
        # What the page says is heard while it is asked something.
        self._page.evaluate("true")
        return project_id in self._subscribed | self._denied

    def _say(self, event: str, **rest: Any) -> None:
        self._sockets[-1].send(json.dumps({"event": event, "data": {}, **rest}))

    def _open(self, socket: WebSocketRoute) -> None:
        self._sockets.append(socket)
        self._subscribed.clear()
        self._denied.clear()
        socket.on_message(lambda text: self._hear(json.loads(text)))

    def _hear(self, message: dict[str, Any]) -> None:
        if message["event"] == "auth":
            self._say("auth:ok")
        elif message["event"] == "ping":
            self._say("pong")
        elif message["event"] == "subscribe":
            project_id = message["data"]["projectId"]
            if refusals := self.refusals.get(project_id):
                self._say("error", data={"message": refusals.pop(0)})
                self._denied.add(project_id)
            else:
                self._denied.discard(project_id)
                self._subscribed.add(project_id)
                self._say("subscribed", data={"projectId": project_id, "seq": self.SEQ})
