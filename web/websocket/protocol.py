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
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import flask_sock
from flask import Blueprint, Flask, Response, request
from werkzeug.wsgi import get_host

from common.errors import Busy, NotFound, Unauthenticated
from common.machine.text import storable
from common.services.activity import events
from common.settings import settings
from web.http.errors import error
from web.websocket import frames
from web.websocket.connection import Connection
from web.websocket.hub import Hub, hub
from web.websocket.subscribers import Session, Subscriber, server_frame
from web.websocket.upgrade import Upgrade

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

AUTH_SECONDS = 10.0
MOST_SUBSCRIPTIONS = 50
MOST_TASKS = 50
NOT_FOUND = "Resource not found"
"""Also the answer for a thing that the caller may not see."""
NOT_AUTHENTICATED = "Invalid or expired token"

_PATHS = ("/", "/ws")
_CONNECTION = frozenset({"upgrade", "keep-alive, upgrade"})
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def init_feed(app: Flask) -> None:
    """Serve the WebSocket at `/` and `/ws`, as endpoints `feed.root` and `feed.ws`. Clients authenticate by message."""
    # flask-sock makes its connections with this name of its module; it has no other way to choose their class.
    flask_sock.Server = Upgrade
    blueprint = Blueprint("feed", __name__)
    blueprint.before_request(_refuse_bad_handshake)
    sock = flask_sock.Sock(app)
    for path, endpoint in zip(_PATHS, ("root", "ws"), strict=True):
        sock.route(path, bp=blueprint, endpoint=endpoint)(_serve)
    app.register_blueprint(blueprint)


def socket_opener(allows: Callable[[str], bool]) -> Callable[[WSGIEnvironment], bool]:
    """A function that opens the socket which a request asks for. allows: whether this instance has a host's name.

    It returns False for a request that asks for no socket, or for one that is refused: that request goes Flask's way,
    and is refused there. It makes the same checks as are made there, but without what Flask prepares for a view, which
    would be a fifth of what a socket costs. Nothing of what follows a view is missing: no reply is sent.
    """

    def open_socket(environ: WSGIEnvironment) -> bool:
        # A handshake in a form that no browser and no library sends goes Flask's way, too.
        if (
            environ["PATH_INFO"] not in _PATHS
            or environ["REQUEST_METHOD"] != "GET"
            or environ.get("HTTP_UPGRADE", "").lower() != "websocket"
            or environ.get("HTTP_CONNECTION", "").lower() not in _CONNECTION
            or "HTTP_HOST" not in environ
            or "gunicorn.socket" not in environ
        ):
            return False
        host = get_host(environ)
        if not allows(host) or _refusal(environ, host) is not None:
            return False
        _serve(Upgrade(environ))
        return True

    return open_socket


def _refuse_bad_handshake() -> Response | None:
    refusal = _refusal(request.environ, request.host)
    return None if refusal is None else refusal()


def _refusal(environ: WSGIEnvironment, host: str) -> Callable[[], Response] | None:
    """The answer to a page of another site, or to a malformed handshake; None for one that is to be accepted."""
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and not _is_own(origin, host):
        return partial(error, 403)
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION", "").strip() != "13":
        return partial(error, 426, "Only WebSocket version 13 is supported", headers={"Sec-WebSocket-Version": "13"})
    try:
        key = base64.b64decode(environ.get("HTTP_SEC_WEBSOCKET_KEY", ""), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 16:
        return partial(error, 400, "Sec-WebSocket-Key is missing or invalid")
    if hub().is_full:
        return partial(error, 503, headers={"Retry-After": "30"})
    return None


def _is_own(origin: str, host: str) -> bool:
    """Whether the page that opens the socket was served by this instance. host: which the request names."""
    try:
        return urlsplit(origin).netloc in {host, urlsplit(settings().web.public_url).netloc}
    except ValueError:  # no address
        return False


def _serve(ws: Upgrade) -> None:
    """Give the socket to the hub. The request ends here; the socket goes on without it."""
    connection = Connection(ws.detach(), hub().poll, deadline=time.monotonic() + AUTH_SECONDS)
    hub().admit(connection, Conversation(connection, hub()))


class Conversation:
    """The messages of one client. `subscriber` is None until the client has authenticated."""

    __slots__ = ("_connection", "hub", "subscriber")

    def __init__(self, connection: Connection, to: Hub) -> None:
        self.hub = to
        self.subscriber: Subscriber | None = None
        self._connection = connection

    def on_end(self) -> None:
        """See Listener."""
        self.hub.remove_socket(self._connection, self.subscriber)

    def on_message(self, text: str) -> None:
        """Handle one message and queue the answers to it."""
        event, body = _parse(text)
        if event == "auth":
            self._auth(body)
        elif self.subscriber is None:
            self._refuse_token("Authenticate first")
        elif event is None or body is None:
            self._send_error('A message is {"event": "…", "data": {…}}')
        elif event not in _HANDLERS:
            self._send_error(f"Unknown event {storable(event[:40])}")
        else:
            try:
                _HANDLERS[event](self, self.subscriber, body)
            except NotFound:
                self._send_error(NOT_FOUND)
            except Busy:
                self._send_error("The database can't be reached; try again")

    def _auth(self, body: dict[str, object] | None) -> None:
        token = (body or {}).get("token")
        try:
            if not isinstance(token, str) or not token.isascii():
                raise Unauthenticated
            session = self.hub.authority.admit(token)
        except Unauthenticated:
            self._refuse_token(NOT_AUTHENTICATED)
        except Busy:
            self._connection.close(frames.TRY_AGAIN_LATER, "the database can't be reached")
        else:
            self._accept(session)

    def _accept(self, session: Session) -> None:
        self._connection.deadline = None
        caller, expires_at = session.caller, session.expires_at
        if self.subscriber is None:
            self.subscriber = Subscriber(self._connection, session)
            self.hub.authority.watch(self.subscriber)
            self.hub.topics.add_subscriber(self.subscriber)
        elif self.subscriber.caller.user_id != caller.user_id:
            # The subscriptions of this socket were granted to another user.
            self._refuse_token("Another user's token: open another socket")
            return
        else:
            self.hub.authority.renew(self.subscriber, session)
        body = {"userId": caller.user_id, "username": caller.username, "role": caller.role.label}
        if expires_at is not None:
            body["expiresAt"] = datetime.fromtimestamp(expires_at, UTC).isoformat().replace("+00:00", "Z")
        self._send("auth:ok", **body)

    def _subscribe(self, subscriber: Subscriber, body: dict[str, object]) -> None:
        after_seq = body.get("afterSeq")
        seq = after_seq if type(after_seq) is int and 0 <= after_seq < 2**63 else None
        if "afterSeq" in body and (seq is None or "projectId" not in body):
            self._send_error("afterSeq is a whole number, and goes with a projectId")
        elif "projectId" not in body:
            self.hub.authority.read_visible(subscriber.session)
            self.hub.topics.follow_all(subscriber)
        else:
            feed_id = _id(body["projectId"])
            if feed_id not in subscriber.subscriptions and len(subscriber.subscriptions) >= MOST_SUBSCRIPTIONS:
                self._send_error(f"At most {MOST_SUBSCRIPTIONS} subscriptions")
            else:
                self.hub.authority.require_feed(subscriber.session, feed_id)
                self.hub.topics.subscribe(subscriber, feed_id, seq)

    def _unsubscribe(self, subscriber: Subscriber, body: dict[str, object]) -> None:
        if "projectId" in body:
            self.hub.topics.unsubscribe(subscriber, _id(body["projectId"]))
        else:
            self.hub.topics.unfollow_all(subscriber)

    def _follow(self, subscriber: Subscriber, body: dict[str, object]) -> None:
        task_id = _id(body.get("taskId"))
        if task_id not in subscriber.tasks and len(subscriber.tasks) >= MOST_TASKS:
            self._send_error(f"At most {MOST_TASKS} tasks")
            return
        self.hub.topics.follow(subscriber, task_id, events.may_follow_task(subscriber.caller, task_id))

    def _unfollow(self, subscriber: Subscriber, body: dict[str, object]) -> None:
        self.hub.topics.unfollow(subscriber, _id(body.get("taskId")))

    def _ping(self, _subscriber: Subscriber, _body: dict[str, object]) -> None:
        # A page can neither send nor see the pings of the WebSocket itself.
        self._send("pong")

    def _refuse_token(self, message: str) -> None:
        self._send("auth:error", message=message)
        self._connection.close(frames.UNAUTHENTICATED, message)

    def _send_error(self, message: str) -> None:
        self._send("error", message=message)

    def _send(self, event: str, **body: str) -> None:
        self._connection.queue(server_frame(event, **body))


_HANDLERS = {
    "subscribe": Conversation._subscribe,
    "unsubscribe": Conversation._unsubscribe,
    "follow": Conversation._follow,
    "unfollow": Conversation._unfollow,
    "ping": Conversation._ping,
}


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
