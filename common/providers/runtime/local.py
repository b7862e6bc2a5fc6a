"""The local runtime: a client of the supervisor, which runs processes on this machine, over its Unix socket.

Synchronous, with a new connection per call, so it is safe with threads, greenlets and forks. See
workers/supervisor/server.py for the format of the lines.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TypeVar

from common.errors import ProviderRefused, ProviderUnavailable
from common.machine.waiting import Deadline
from common.values.delivery.app import App, AppState, ProjectNamespace, Version
from common.values.json_codec import SOCKET_VERSION, Json, decode, encode
from common.values.log_line import LogLine
from common.values.runs.confinement import Confinement
from common.values.testing.check import Check, CheckState

T = TypeVar("T")

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 10.0


class ProcessRuntime:
    """The Runtime protocol over a supervisor's socket. Connects on each call, not on creation."""

    def __init__(self, socket_path: Path, *, answer_seconds: float | None = None) -> None:
        """answer_seconds: how long a verb may take; None: ANSWER_SECONDS."""
        self._socket_path = socket_path
        self._answer_seconds = ANSWER_SECONDS if answer_seconds is None else answer_seconds

    def ping(self) -> Confinement | None:
        return _optional(Confinement, self._ask("ping"))

    def ensure_environment(self, space: ProjectNamespace) -> None:
        self._ask("ensure_environment", space=space)

    def delete_environment(self, space: ProjectNamespace) -> None:
        self._ask("delete_environment", space=space)

    def ensure_app(self, app: App, version: Version) -> AppState:
        return decode(AppState, self._ask("ensure_app", app=app, version=version))

    def read_app(self, app: App, version_id: str) -> AppState | None:
        return _optional(AppState, self._ask("read_app", app=app, version_id=version_id))

    def open_app(self, app: App) -> str | None:
        return _optional(str, self._ask("open_app", app=app))

    def delete_app(self, app: App) -> None:
        self._ask("delete_app", app=app)

    def list_apps(self) -> list[tuple[str, str, str | None]]:
        return list(decode(tuple[tuple[str, str, str | None], ...], self._ask("list_apps")))

    def app_logs(self, app: App, version_id: str, *, limit: int = 500) -> list[LogLine]:
        return list(decode(tuple[LogLine, ...], self._ask("app_logs", app=app, version_id=version_id, limit=limit)))

    def ensure_check(self, check: Check) -> CheckState:
        return decode(CheckState, self._ask("ensure_check", check=check))

    def read_check(self, space: ProjectNamespace, check_id: str) -> CheckState | None:
        return _optional(CheckState, self._ask("read_check", space=space, check_id=check_id))

    def delete_check(self, space: ProjectNamespace, check_id: str) -> None:
        self._ask("delete_check", space=space, check_id=check_id)

    def _ask(self, verb: str, **args: object) -> Json:
        reply = self._exchange(json.dumps({"v": SOCKET_VERSION, "verb": verb, "args": encode(args)}).encode() + b"\n")
        if "ok" in reply:
            return reply["ok"]
        error = decode(dict[str, str], reply["error"])
        if error["kind"] == "unavailable":
            raise ProviderUnavailable(f"the local runtime can't do {verb} now: {error['message']}")
        raise ProviderRefused(f"the local runtime refused {verb}: {error['message']}", code=error["code"])

    def _exchange(self, line: bytes) -> dict[str, Json]:
        """Send one line and return the reply. Raises ProviderUnavailable if no reply comes in time."""
        deadline = Deadline(self._answer_seconds)
        answer = bytearray()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(CONNECT_SECONDS)
                connection.connect(str(self._socket_path))
                connection.settimeout(self._answer_seconds)
                connection.sendall(line)
                while not answer.endswith(b"\n"):
                    connection.settimeout(max(0.01, deadline.left_seconds))
                    chunk = connection.recv(256 * 1024)
                    if not chunk:
                        raise ConnectionResetError("it closed the connection")
                    answer += chunk
        except OSError as error:
            raise ProviderUnavailable(
                f"the local runtime's supervisor does not answer at {self._socket_path} ({error});"
                " is `aiworker up` running?"
            ) from error
        reply: dict[str, Json] = json.loads(answer)
        return reply


def _optional(kind: type[T], reply: Json) -> T | None:
    return None if reply is None else decode(kind, reply)
