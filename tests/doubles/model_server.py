"""A scripted model server: plays the provider of a model for real coding CLIs, over the four wire formats.

A scene is chosen by the newest message of a person that contains its `when`; the step is the number of tool calls made
since that message. So the server keeps no state of a conversation, and a call that is tried again gets the same answer.
A request that offers no tools (for a title, a summary) is answered with `ok`.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.doubles.model_wire import WIRES, ConversationPart, Fault, Json, Payload, Step, Usage, Wire

OK = Step(say="ok")
_WORKSPACE = re.compile(r'(?:Workspace|[Ww]orking directory): *`?([^\s"`<\\]+)|<cwd>([^<]+)</cwd>')


@dataclass(frozen=True)
class Scene:
    """`{workspace}` in a step's input becomes the path that the conversation names as its workspace."""

    when: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class SeenRequest:
    """A request as it came. headers: names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Json


@dataclass(frozen=True)
class Answered:
    """One answer, in the order of the answers. usage: what the answer says; None if it was an error."""

    api: str
    model: str
    status: int
    usage: Usage | None


class ModelServer:
    """Serves on a port of loopback from `__enter__` to `__exit__`. Scenes may be changed at any time."""

    def __init__(self, scenes: Iterable[Scene] = ()) -> None:
        self.scenes = tuple(scenes)
        self.requests: list[SeenRequest] = []
        self.answered: list[Answered] = []
        self._lock = threading.Lock()
        self._failures: dict[tuple[str, int], int] = {}
        self._server = _Server(("127.0.0.1", 0), type("Bound", (_Handler,), {"model": self}))
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.05), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def begin(self, scenes: Iterable[Scene]) -> None:
        """Play other scenes from now on, and forget what was asked and answered so far."""
        with self._lock:
            self.scenes = tuple(scenes)
            self.requests.clear()
            self.answered.clear()
            self._failures.clear()

    def spent(self) -> Usage:
        """The sum of the usage in all answers so far."""
        with self._lock:
            return sum((one.usage for one in self.answered if one.usage), Usage(0, 0, 0))

    # For the handler

    def saw(self, request: SeenRequest) -> None:
        with self._lock:
            self.requests.append(request)

    def next_usage(self, api: str, model: str) -> Usage:
        """Another usage for each call, so that a call that is counted twice or not at all changes the sum."""
        with self._lock:
            number = len(self.answered) + 1
            usage = Usage(1000 + 7 * number, 300 + 3 * number, 40 + number)
            self.answered.append(Answered(api, model, 200, usage))
            return usage

    def failed(self, api: str, model: str, status: int) -> None:
        with self._lock:
            self.answered.append(Answered(api, model, status, None))

    def step_for(self, said: Iterable[ConversationPart], body: Json) -> Step:
        """The step of this conversation, with the workspace filled in."""
        scene, turn = None, 0
        prompt = ""
        for kind, value in said:
            found = next((one for one in self.scenes if one.when in value), None) if kind == "user" else None
            if found:
                scene, turn, prompt = found, 0, value
            elif kind == "call":
                turn += 1
        if scene is None or not _offers_tools(body):
            return OK
        step = scene.steps[turn] if turn < len(scene.steps) else Step(say="Nothing is left to do.")
        if step.fault and not self._is_due(step.fault, (scene.when, turn)):
            step = replace(step, fault=None)
        return _placed(step, prompt, body)

    def _is_due(self, fault: Fault, place: tuple[str, int]) -> bool:
        with self._lock:
            self._failures[place] = self._failures.get(place, 0) + 1
            return self._failures[place] <= fault.times


def _offers_tools(body: Json) -> bool:
    return bool(body.get("tools"))


def _placed(step: Step, prompt: str, body: Json) -> Step:
    found = _WORKSPACE.search(prompt) or _WORKSPACE.search(json.dumps(body))
    workspace = next(filter(None, found.groups()), "") if found else ""
    filled = json.loads(json.dumps(step.input).replace("{workspace}", workspace))
    return replace(step, input=filled, raw=step.raw and step.raw.replace("{workspace}", workspace))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A CLI that was killed or gave up.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: ModelServer

    def do_GET(self) -> None:
        self.model.saw(SeenRequest(self.command, self.path, self._headers(), {}))
        self._json(200, {"object": "list", "data": [], "models": []})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict):  # a batch of telemetry
            self._json(200, {})
            return
        self.model.saw(SeenRequest(self.command, self.path, self._headers(), body))
        path = self.path.split("?")[0]
        if path.endswith(("count_tokens", "countTokens")):
            self._json(200, {"input_tokens": 1000, "totalTokens": 1000})
            return
        wire = next((one for one in WIRES if one.path.search(path)), None)
        if wire is None:
            self._json(404, _error("not_found_error", path))
            return
        self._answer(wire, path, body)

    def _answer(self, wire: Wire, path: str, body: Json) -> None:
        step = self.model.step_for(wire.read(body), body)
        in_path = re.search(r"/models/([^/:]+):", path)
        name = in_path[1] if in_path else str(body.get("model", ""))
        fault = step.fault
        if fault:
            self.model.failed(wire.api, name, fault.status)
            self._json(fault.status, _error(_error_type(fault.status), fault.message), fault.headers)
            return
        usage = self.model.next_usage(wire.api, name)
        events = list(wire.write(body, step, usage))
        if body.get("stream") or "stream" in path:
            self._stream(events[:-1])
            self.wfile.write(wire.ending)
        else:
            self._json(200, events[-1][1])

    def _headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _json(self, status: int, value: Json, headers: Mapping[str, str] | None = None) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _stream(self, events: Iterable[Payload]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for name, value in events:
            head = f"event: {name}\n" if name else ""
            self.wfile.write(f"{head}data: {json.dumps(value)}\n\n".encode())
            self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name in the base class)
        """Say nothing: the requests are kept."""


def _error_type(status: int) -> str:
    return {
        400: "invalid_request_error",
        401: "authentication_error",
        429: "rate_limit_error",
        529: "overloaded_error",
    }.get(status, "api_error")


def _error(kind: str, message: str) -> Json:
    return {"type": "error", "error": {"type": kind, "message": message, "code": kind, "status": kind}}
