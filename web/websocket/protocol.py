"""The WebSocket at `/` and `/ws`: what clients may say, and what they are answered.

Owns the routes and the protocol of one socket; who gets which event is the hub's (web/websocket/hub.py). `GET /`
without an upgrade is not this module's: werkzeug tells the two apart by the rule's `websocket=True`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import jwt
from flask import Blueprint, Flask, request
from flask.typing import ResponseReturnValue
from flask_sock import Sock

from common.errors import Busy, NotFound, Unauthenticated
from common.services import events
from common.services.access import Caller
from common.services.people import accounts
from common.services.people.tokens import API_TOKEN_PREFIX
from common.settings import settings
from web.websocket import frames
from web.websocket.connection import Connection
from web.websocket.hub import Hub, hub
from web.websocket.long_poll import Waiter
from web.websocket.subscribers import Subscriber, say

AUTH_SECONDS = 10.0
MOST_SUBSCRIPTIONS = 50
MOST_TASKS = 50
NOT_FOUND = "Resource not found"
"""The same for what is missing and for what is not the caller's."""
NOT_AUTHENTICATED = "Invalid or expired token"

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class _NoThread:
    """Takes the place of the thread that simple-websocket would start: we read and write the socket ourselves."""

    name = ""

    def __init__(self, target: Callable[[], None]) -> None:
        self.target = target

    def start(self) -> None:
        """Nothing: the route's own thread reads."""


def init_feed(app: Flask) -> None:
    """Serve the WebSocket at `/` and `/ws`: endpoints `feed.root` and `feed.ws`, which authenticate by themselves."""
    app.config["SOCK_SERVER_OPTIONS"] = {"thread_class": _NoThread}
    blueprint = Blueprint("feed", __name__)
    blueprint.before_request(_refuse_bad_handshake)
    sock = Sock(app)
    sock.route("/", bp=blueprint, endpoint="root")(_serve)
    sock.route("/ws", bp=blueprint, endpoint="ws")(_serve)
    app.register_blueprint(blueprint)


def _refuse_bad_handshake() -> ResponseReturnValue | None:
    """Before the upgrade: a page of another site, or a handshake that is none."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc not in {request.host, urlsplit(settings().web.public_url).netloc}:
        return {"error": "Forbidden"}, 403
    if request.headers.get("Sec-WebSocket-Version", "").strip() != "13":
        return {"error": "WebSocket version 13 is spoken here"}, 426, {"Sec-WebSocket-Version": "13"}
    try:
        key = base64.b64decode(request.headers.get("Sec-WebSocket-Key", ""), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 16:
        return {"error": "Sec-WebSocket-Key is missing or wrong"}, 400
    # No permessage-deflate: it costs 130 KB a socket and fifteen times the work of a plain frame.
    request.environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
    return None


def _serve(ws: Any) -> None:
    connection = Connection(ws.sock, deadline=time.monotonic() + AUTH_SECONDS)
    session = Session(connection, hub())
    session.hub.admit(connection)
    try:
        for text in connection.messages():
            session.hear(text)
            connection.flush()
    finally:
        session.hub.discharge(connection, session.subscriber)
        connection.end()
        ws.connected = False  # else flask-sock would write a close frame of its own


class Session:
    """What one client says. `subscriber` is None until it has authenticated."""

    def __init__(self, connection: Connection, to: Hub) -> None:
        self.hub = to
        self.subscriber: Subscriber | None = None
        self._connection = connection
        self._heard: dict[str, Callable[[Subscriber, dict[str, Any]], None]] = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "follow": self._follow,
            "unfollow": self._unfollow,
        }

    def hear(self, text: str) -> None:
        """Act on one message and queue the answers."""
        event, body = _parse(text)
        if event == "auth":
            self._auth(body)
        elif self.subscriber is None:
            self._refuse_token("Authenticate first")
        elif event is None or body is None:
            self._complain('A message is {"event": "…", "data": {…}}')
        elif event not in self._heard:
            self._complain(f"Unknown event {event[:40]}")
        else:
            try:
                self._heard[event](self.subscriber, body)
            except NotFound:
                self._complain(NOT_FOUND)
            except Busy:
                self._complain("The database can't be reached; try again")

    def _auth(self, body: dict[str, Any] | None) -> None:
        token = (body or {}).get("token")
        try:
            if not isinstance(token, str) or not token.isascii():
                raise Unauthenticated
            caller, expires_at = accounts.authenticate(token), _expiry(token)
            if expires_at is not None and expires_at <= time.time():
                raise Unauthenticated
        except Unauthenticated:
            self._refuse_token(NOT_AUTHENTICATED)
        except Busy:
            self._connection.close(frames.TRY_AGAIN_LATER, "the database can't be reached")
        else:
            self._accept(caller, token, expires_at)

    def _accept(self, caller: Caller, token: str, expires_at: float | None) -> None:
        self._connection.deadline = None
        if self.subscriber is None:
            self.subscriber = Subscriber(self._connection, caller, token, expires_at)
            self.hub.authority.watch(self.subscriber)
        elif self.subscriber.caller.user_id != caller.user_id:
            # What this socket listens to was allowed to somebody else.
            self._refuse_token("Another user's token: open another socket")
            return
        else:
            self.subscriber.token, self.subscriber.expires_at = token, expires_at
            self.subscriber.caller, self.subscriber.checked_at = caller, 0.0
        body = {"userId": caller.user_id, "username": caller.username, "role": caller.role.label}
        if expires_at is not None:
            body["expiresAt"] = datetime.fromtimestamp(expires_at, UTC).isoformat().replace("+00:00", "Z")
        self._say("auth:ok", **body)

    def _subscribe(self, subscriber: Subscriber, body: dict[str, Any]) -> None:
        after_seq = body.get("afterSeq")
        is_seq = type(after_seq) is int and 0 <= after_seq < 2**63
        if "afterSeq" in body and not (is_seq and "projectId" in body):
            self._complain("afterSeq is a whole number, and goes with a projectId")
        elif "projectId" not in body:
            self.hub.topics.follow_all(subscriber)
        else:
            feed_id = _id(body["projectId"])
            if feed_id not in subscriber.subscriptions and len(subscriber.subscriptions) >= MOST_SUBSCRIPTIONS:
                self._complain(f"At most {MOST_SUBSCRIPTIONS} subscriptions")
            elif feed_id not in events.visible_among(subscriber.caller, [feed_id]):
                raise NotFound(f"project {feed_id}")
            else:
                self.hub.topics.subscribe(subscriber, feed_id, after_seq)

    def _unsubscribe(self, subscriber: Subscriber, body: dict[str, Any]) -> None:
        if "projectId" in body:
            self.hub.topics.unsubscribe(subscriber, _id(body["projectId"]))
        else:
            self.hub.topics.unfollow_all(subscriber)

    def _follow(self, subscriber: Subscriber, body: dict[str, Any]) -> None:
        task_id = _id(body.get("taskId"))
        if task_id not in subscriber.tasks and len(subscriber.tasks) >= MOST_TASKS:
            self._complain(f"At most {MOST_TASKS} tasks")
            return
        self.hub.topics.follow(subscriber, task_id, events.may_follow_task(subscriber.caller, task_id))

    def _unfollow(self, subscriber: Subscriber, body: dict[str, Any]) -> None:
        self.hub.topics.unfollow(subscriber, _id(body.get("taskId")))

    def _refuse_token(self, message: str) -> None:
        self._say("auth:error", message=message)
        self._connection.close(frames.UNAUTHENTICATED, message)

    def _complain(self, message: str) -> None:
        self._say("error", message=message)

    def _say(self, event: str, **body: str) -> None:
        self._connection.queue(say(event, **body))


def _parse(text: str) -> tuple[str | None, dict[str, Any] | None]:
    """The event and its data; None for what is neither. No data is empty data."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(message, dict):
        return None, None
    event, body = message.get("event"), message.get("data", {})
    return event if isinstance(event, str) else None, body if isinstance(body, dict) else None


def _id(value: Any) -> str:
    """NotFound for what can't be an id: it is not worth a question to the database, and may not even be storable."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise NotFound("not an id")
    return value


def _expiry(token: str) -> float | None:
    """When a login's token that was verified ends (Unix time); None for an API token."""
    if token.startswith(API_TOKEN_PREFIX):
        return None
    return float(jwt.decode(token, options={"verify_signature": False})["exp"])


__all__ = ["Waiter", "init_feed"]
