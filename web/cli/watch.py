"""`aiworker watch`: the platform's events as they happen, one line each, over its WebSocket."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import simple_websocket

from web.cli.client import Api, ApiError

ANSWER_SECONDS = 30.0
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 15.0

Message = dict[str, Any]


def follow(api: Api, project_id: str | None) -> Iterator[Message]:
    """Every event that the caller may see, of one project or all; it comes back by itself when the platform does.

    Of one project nothing is lost meanwhile: what happened comes first. ApiError where the token is refused, or the
    first connection can't be made.
    """
    # A refused token, or a platform that is away, is told at once and not tried again for ever.
    api.call("GET", "/auth/me")
    after_seq: int | None = None
    wait = FIRST_WAIT_SECONDS
    while True:
        with contextlib.suppress(simple_websocket.ConnectionClosed, simple_websocket.ConnectionError, OSError):
            for message in _connected(api, project_id, after_seq):
                wait = FIRST_WAIT_SECONDS
                after_seq = message["seq"] if project_id is not None and "seq" in message else after_seq
                if message["event"] not in {"auth:ok", "subscribed"}:
                    yield message
        time.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def _connected(api: Api, project_id: str | None, after_seq: int | None) -> Iterator[Message]:
    socket = simple_websocket.Client(f"ws{api.url.removeprefix('http')}/ws", ping_interval=25)
    try:
        _send(socket, "auth", token=api.token())
        _expect(socket, "auth:ok")
        asked = {"projectId": project_id, "afterSeq": after_seq}
        _send(socket, "subscribe", **{name: value for name, value in asked.items() if value is not None})
        while True:
            message = json.loads(socket.receive())
            if message["event"] in {"auth:error", "error"}:
                raise ApiError(f"the platform refused: {message.get('data', {}).get('message', message['event'])}")
            yield message
    finally:
        with contextlib.suppress(simple_websocket.ConnectionClosed, OSError):
            socket.close()


def _send(socket: simple_websocket.Client, event: str, **body: Any) -> None:
    socket.send(json.dumps({"event": event, "data": body}))


def _expect(socket: simple_websocket.Client, event: str) -> None:
    said = socket.receive(timeout=ANSWER_SECONDS)
    if said is None:
        raise simple_websocket.ConnectionClosed
    if json.loads(said)["event"] != event:
        raise ApiError("the platform refused the token; check AIWORKER_TOKEN")


def line_of(message: Message) -> str:
    """An event for a person: when, what, and its facts."""
    facts = " ".join(f"{name}={_word(value)}" for name, value in message.get("data", {}).items() if value is not None)
    return f"{message.get('at', '-')} {message['event']} {facts}".rstrip()


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text and not any(sign.isspace() for sign in text) else json.dumps(text, ensure_ascii=False)
