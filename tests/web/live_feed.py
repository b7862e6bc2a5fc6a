"""The server's end of the page's WebSocket, so that a test says what it answers and which events it tells."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page, WebSocketRoute


class LiveFeed:
    """Answers as web/websocket/protocol.py does.

    refusals: for a project's id, what its next subscriptions are refused with, first to last. subscribed: the project
    of each `subscribe` that was heard.
    """

    SEQ = 100
    """Which event of a feed is the newest when it is subscribed to."""

    def __init__(self, page: Page) -> None:
        self.refusals: dict[str, list[str]] = {}
        self.subscribed: list[str] = []
        self._sockets: list[WebSocketRoute] = []
        page.route_web_socket("**/ws", self._open)

    def tell(self, event: str, project_id: str | None = None, seq: int | None = None, **data: Any) -> None:
        message = {"event": event, "projectId": project_id, "seq": seq, "data": data}
        self._sockets[-1].send(json.dumps({key: value for key, value in message.items() if value is not None}))

    def _open(self, socket: WebSocketRoute) -> None:
        self._sockets.append(socket)
        socket.on_message(lambda text: self._hear(json.loads(text)))

    def _hear(self, message: dict[str, Any]) -> None:
        if message["event"] == "auth":
            self.tell("auth:ok")
        elif message["event"] == "ping":
            self.tell("pong")
        elif message["event"] == "subscribe":
            project_id = message["data"]["projectId"]
            self.subscribed.append(project_id)
            if refusals := self.refusals.get(project_id):
                self.tell("error", message=refusals.pop(0))
            else:
                self.tell("subscribed", projectId=project_id, seq=self.SEQ)
