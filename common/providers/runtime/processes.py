"""The local runtime: processes on this machine, owned by the supervisor and asked for over its Unix socket.

A plain synchronous client that opens a connection per call, so that threads, greenlets and forks need no care. What the
lines look like is written in workers/supervisor/server.py.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.errors import ProviderRefused, ProviderUnavailable
from common.machine.waiting import Deadline
from common.providers.runtime.protocol import (
    App,
    AppPhase,
    AppState,
    Check,
    CheckPhase,
    CheckState,
    Space,
    Version,
)

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 10.0


class ProcessRuntime:
    """The Runtime protocol on a supervisor's socket. Nothing is opened before the first call."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path

    def ping(self) -> None:
        self._ask("ping")

    def ensure_environment(self, space: Space) -> None:
        self._ask("ensure_environment", space=asdict(space))

    def delete_environment(self, space: Space) -> None:
        self._ask("delete_environment", space=asdict(space))

    def ensure_app(self, app: App, version: Version) -> AppState:
        return _app_state(self._ask("ensure_app", app=asdict(app), version=_plain(version)))

    def read_app(self, app: App, version_id: str) -> AppState | None:
        state = self._ask("read_app", app=asdict(app), version_id=version_id)
        return None if state is None else _app_state(state)

    def open_app(self, app: App) -> str | None:
        address: str | None = self._ask("open_app", app=asdict(app))
        return address

    def delete_app(self, app: App) -> None:
        self._ask("delete_app", app=asdict(app))

    def list_apps(self) -> list[tuple[str, str, str | None]]:
        return [(namespace, name, version_id) for namespace, name, version_id in self._ask("list_apps")]

    def app_logs(self, app: App, version_id: str, *, limit: int = 500) -> list[str]:
        lines: list[str] = self._ask("app_logs", app=asdict(app), version_id=version_id, limit=limit)
        return lines

    def ensure_check(self, check: Check) -> CheckState:
        return _check_state(self._ask("ensure_check", check=_plain(check)))

    def read_check(self, space: Space, check_id: str) -> CheckState | None:
        state = self._ask("read_check", space=asdict(space), check_id=check_id)
        return None if state is None else _check_state(state)

    def delete_check(self, space: Space, check_id: str) -> None:
        self._ask("delete_check", space=asdict(space), check_id=check_id)

    def _ask(self, verb: str, **args: Any) -> Any:
        reply = self._exchange(json.dumps({"v": 1, "verb": verb, "args": args}).encode() + b"\n")
        if "ok" in reply:
            return reply["ok"]
        error = reply["error"]
        if error["kind"] == "unavailable":
            raise ProviderUnavailable(f"the local runtime can't do {verb} now: {error['message']}")
        raise ProviderRefused(f"the local runtime refused {verb}: {error['message']}", code=error["code"])

    def _exchange(self, line: bytes) -> dict[str, Any]:
        """Send one line and return the one that comes back. ProviderUnavailable when none does in time."""
        deadline = Deadline(ANSWER_SECONDS)
        answer = bytearray()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(CONNECT_SECONDS)
                connection.connect(str(self._socket_path))
                connection.settimeout(ANSWER_SECONDS)
                connection.sendall(line)
                while not answer.endswith(b"\n"):
                    connection.settimeout(max(0.01, deadline.left_seconds))
                    chunk = connection.recv(256 * 1024)
                    if not chunk:
                        raise ConnectionResetError("it hung up")
                    answer += chunk
        except OSError as error:
            raise ProviderUnavailable(
                f"the local runtime's supervisor does not answer at {self._socket_path} ({error});"
                " is `aiworker up` running?"
            ) from error
        reply: dict[str, Any] = json.loads(answer)
        return reply


def _plain(thing: Version | Check) -> dict[str, Any]:
    # asdict copies values by their own type; a Mapping that is no dict would not be JSON.
    return asdict(thing) | {"env": dict(thing.env)}


def _app_state(raw: dict[str, Any]) -> AppState:
    return AppState(**{**raw, "phase": AppPhase(raw["phase"])})


def _check_state(raw: dict[str, Any]) -> CheckState:
    return CheckState(**{**raw, "phase": CheckPhase(raw["phase"])})
