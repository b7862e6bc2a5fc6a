"""The WebSocket at `/` and `/ws`: the messages of clients and the answers to them.

Owns the routes and the protocol of one socket; the hub (web/websocket/hub.py) distributes events. `GET /` without an
upgrade belongs to the page: werkzeug tells the two apart by the rule's `websocket=True`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import jwt
from flask import Blueprint, Flask, Response, request
from flask_sock import Sock
from simple_websocket import Server

from common.errors import Busy, NotFound, Unauthenticated
from common.services import events
from common.services.access import Caller
from common.services.people import accounts
from common.services.people.tokens import API_TOKEN_PREFIX
from common.settings import settings
from web.http.errors import error
from web.websocket import frames
from web.websocket.connection import Connection
from web.websocket.hub import Hub, hub
from web.websocket.subscribers import Subscriber, say

AUTH_SECONDS = 10.0
MOST_SUBSCRIPTIONS = 50
MOST_TASKS = 50
NOT_FOUND = "Resource not found"
"""Also the answer for a thing that the caller may not see."""
NOT_AUTHENTICATED = "Invalid or expired token"

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class _NoThread:
    """Replaces the thread that simple-websocket would start: this module reads and writes the socket itself."""

    name = ""

    def __init__(self, target: Callable[[], None]) -> None:
        self.target = target

    def start(self) -> None:
        """Do nothing: the route's own thread reads."""


def init_feed(app: Flask) -> None:
    """Serve the WebSocket at `/` and `/ws`, as endpoints `feed.root` and `feed.ws`. Clients authenticate by message."""
    app.config["SOCK_SERVER_OPTIONS"] = {"thread_class": _NoThread}
    blueprint = Blueprint("feed", __name__)
    blueprint.before_request(_refuse_bad_handshake)
    sock = Sock(app)
    sock.route("/", bp=blueprint, endpoint="root")(_serve)
    sock.route("/ws", bp=blueprint, endpoint="ws")(_serve)
    app.register_blueprint(blueprint)


def _refuse_bad_handshake() -> Response | None:
    """Refuse pages of other sites and malformed handshakes before the upgrade."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc not in {request.host, urlsplit(settings().web.public_url).netloc}:
        return error(403)
    if request.headers.get("Sec-WebSocket-Version", "").strip() != "13":
        return error(426, "Only WebSocket version 13 is supported", headers={"Sec-WebSocket-Version": "13"})
    try:
        key = base64.b64decode(request.headers.get("Sec-WebSocket-Key", ""), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 16:
        return error(400, "Sec-WebSocket-Key is missing or invalid")
    # No permessage-deflate: it costs 130 KB per socket and fifteen times the work of a plain frame.
    request.environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
    return None


def _serve(ws: Server) -> None:
    connection = Connection(ws.sock, deadline=time.monotonic() + AUTH_SECONDS)
    conversation = Conversation(connection, hub())
    conversation.hub.admit(connection)
    try:
        for text in connection.messages():
            conversation.hear(text)
            connection.flush()
    finally:
        conversation.hub.discharge(connection, conversation.subscriber)
        connection.end()
        ws.connected = False  # else flask-sock would write a close frame of its own


class Conversation:
    """The messages of one client. `subscriber` is None until the client has authenticated."""

    def __init__(self, connection: Connection, to: Hub) -> None:
        self.hub = to
        self.subscriber: Subscriber | None = None
        self._connection = connection
        self._heard: dict[str, Callable[[Subscriber, dict[str, object]], None]] = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "follow": self._follow,
            "unfollow": self._unfollow,
            "ping": self._ping,
        }

    def hear(self, text: str) -> None:
        """Handle one message and queue the answers to it."""
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

    def _auth(self, body: dict[str, object] | None) -> None:
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
            # The subscriptions of this socket were granted to another user.
            self._refuse_token("Another user's token: open another socket")
            return
        else:
            self.subscriber.token, self.subscriber.expires_at = token, expires_at
            self.subscriber.caller, self.subscriber.checked_at = caller, 0.0
        body = {"userId": caller.user_id, "username": caller.username, "role": caller.role.label}
        if expires_at is not None:
            body["expiresAt"] = datetime.fromtimestamp(expires_at, UTC).isoformat().replace("+00:00", "Z")
        self._say("auth:ok", **body)

    def _subscribe(self, subscriber: Subscriber, body: dict[str, object]) -> None:
        after_seq = body.get("afterSeq")
        seq = after_seq if type(after_seq) is int and 0 <= after_seq < 2**63 else None
        if "afterSeq" in body and (seq is None or "projectId" not in body):
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
                self.hub.topics.subscribe(subscriber, feed_id, seq)

    def _unsubscribe(self, subscriber: Subscriber, body: dict[str, object]) -> None:
        if "projectId" in body:
            self.hub.topics.unsubscribe(subscriber, _id(body["projectId"]))
        else:
            self.hub.topics.unfollow_all(subscriber)

    def _follow(self, subscriber: Subscriber, body: dict[str, object]) -> None:
        task_id = _id(body.get("taskId"))
        if task_id not in subscriber.tasks and len(subscriber.tasks) >= MOST_TASKS:
            self._complain(f"At most {MOST_TASKS} tasks")
            return
        self.hub.topics.follow(subscriber, task_id, events.may_follow_task(subscriber.caller, task_id))

    def _unfollow(self, subscriber: Subscriber, body: dict[str, object]) -> None:
        self.hub.topics.unfollow(subscriber, _id(body.get("taskId")))

    def _ping(self, _subscriber: Subscriber, _body: dict[str, object]) -> None:
        # A page can neither send nor see the pings of the WebSocket itself.
        self._say("pong")

    def _refuse_token(self, message: str) -> None:
        self._say("auth:error", message=message)
        self._connection.close(frames.UNAUTHENTICATED, message)

    def _complain(self, message: str) -> None:
        self._say("error", message=message)

    def _say(self, event: str, **body: str) -> None:
        self._connection.queue(say(event, **body))


def _parse(text: str) -> tuple[str | None, dict[str, object] | None]:
    """The message's event and data, each None if it is malformed. Absent data is empty data."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(message, dict):
        return None, None
    event, body = message.get("event"), message.get("data", {})
    return event if isinstance(event, str) else None, body if isinstance(body, dict) else None


def _id(value: object) -> str:
    """The id. Raises NotFound for a value that can't be one, without asking the database."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise NotFound("not an id")
    return value


def _expiry(token: str) -> float | None:
    """When a login's token, verified before, expires (Unix time); None for an API token."""
    if token.startswith(API_TOKEN_PREFIX):
        return None
    return float(jwt.decode(token, options={"verify_signature": False})["exp"])
