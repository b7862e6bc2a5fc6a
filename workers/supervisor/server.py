"""The supervisor's socket: newline-delimited JSON over a Unix socket that only its own user can open.

A request is one line `{"v": 1, "verb": "read_app", "args": {…}}`, its reply one line `{"v": 1, "ok": …}` or
`{"v": 1, "error": {"kind": "refused" | "unavailable", "code", "message"}}`. A connection may send any number, one after
the other. The verbs and their shapes are those of common.providers.runtime.protocol, dataclasses as objects:

    ping {} → {}                                     ensure_environment, delete_environment {space} → {}
    ensure_app {app, version} → AppState             read_app {app, version_id} → AppState or null
    open_app {app} → address or null
    delete_app {app} → {}                            list_apps {} → [[namespace, name, wanted version id or null], …]
    app_logs {app, version_id, limit} → [line, …]    ensure_check {check} → CheckState
    read_check {space, check_id} → CheckState|null   delete_check {space, check_id} → {}

No verb waits for a program, but the delete ones wait until what they name is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from workers.supervisor import wire
from workers.supervisor.apps import Apps, NoPort
from workers.supervisor.checks import Checks

log = logging.getLogger(__name__)

VERSION = 1
LINE_BYTES = 16 * 2**20
MOST_LOG_LINES = 5000


class Server:
    """Answers the verbs."""

    def __init__(self, apps: Apps, checks: Checks, public_host: str, forget_mirror: Callable[[str], None]) -> None:
        self._apps = apps
        self._checks = checks
        self._public_host = public_host
        self._forget_mirror = forget_mirror
        self._server: asyncio.Server | None = None
        self._verbs: dict[str, Callable[[Any], Awaitable[Any]]] = {
            "ping": self._ping,
            "ensure_environment": self._ensure_environment,
            "delete_environment": self._delete_environment,
            "ensure_app": self._ensure_app,
            "read_app": self._read_app,
            "open_app": self._open_app,
            "delete_app": self._delete_app,
            "list_apps": self._list_apps,
            "app_logs": self._app_logs,
            "ensure_check": self._ensure_check,
            "read_check": self._read_check,
            "delete_check": self._delete_check,
        }

    async def open(self, path: Path) -> None:
        """Listen. The caller holds the directory's lock, so a socket that is there already is a dead one."""
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, path, limit=LINE_BYTES)
        path.chmod(0o600)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A client that goes away, or sends a line longer than any request, is let go.
            with contextlib.suppress(OSError, ValueError, asyncio.CancelledError):
                while line := await reader.readline():
                    writer.write(json.dumps(await self._reply(line)).encode() + b"\n")
                    await writer.drain()
        finally:
            writer.close()

    async def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict) or request.get("v") != VERSION:
                return _error("refused", f"this supervisor speaks version {VERSION}; stop and start all of AiWorker")
            verb = self._verbs.get(str(request.get("verb")))
            if verb is None:
                return _error("refused", f"there is no verb {str(request.get('verb'))[:50]!r}")
            return {"v": VERSION, "ok": await verb(request.get("args"))}
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            return _error("refused", f"the request is not JSON: {error}")
        except wire.Refused as refused:
            return _error("refused", refused.message, refused.code)
        except (NoPort, OSError) as error:
            log.warning("a request could not be done: %s", error)
            return _error("unavailable", str(error), "unavailable")

    async def _ping(self, args: Any) -> dict[str, Any]:
        return {}

    async def _ensure_environment(self, args: Any) -> dict[str, Any]:
        wire.place(_part(args, "space"))
        return {}

    async def _delete_environment(self, args: Any) -> dict[str, Any]:
        place = wire.place(_part(args, "space"))
        await asyncio.gather(
            self._apps.delete_namespace(place.namespace), self._checks.delete_namespace(place.namespace)
        )
        await asyncio.to_thread(self._forget_mirror, place.project_id)
        return {}

    async def _ensure_app(self, args: Any) -> Any:
        place, name = _app(args)
        wanted = wire.wanted_version(_part(args, "version"))
        is_guarded = wire.flag(_part(args, "app"), "is_guarded")
        app = await self._apps.ensure(place, name, wanted, is_guarded=is_guarded)
        return app.state(wanted.version_id, self._public_host)

    async def _read_app(self, args: Any) -> Any:
        app = self._apps.find(*_app(args))
        return app.state(wire.identity(args, "version_id"), self._public_host) if app else None

    async def _open_app(self, args: Any) -> str | None:
        app = self._apps.find(*_app(args))
        return app.entry(self._public_host) if app else None

    async def _delete_app(self, args: Any) -> dict[str, Any]:
        place, name = _app(args)
        await self._apps.delete(place.namespace, name)
        return {}

    async def _list_apps(self, args: Any) -> Any:
        return self._apps.listed()

    async def _app_logs(self, args: Any) -> list[str]:
        app = self._apps.find(*_app(args))
        limit = wire.count(args, "limit", most=MOST_LOG_LINES)
        return app.log_lines(wire.identity(args, "version_id"), limit) if app else []

    async def _ensure_check(self, args: Any) -> Any:
        check = _part(args, "check")
        return self._checks.ensure(wire.place(_part(check, "space")), wire.wanted_check(check))

    async def _read_check(self, args: Any) -> Any:
        return self._checks.state(wire.place(_part(args, "space")).namespace, wire.identity(args, "check_id"))

    async def _delete_check(self, args: Any) -> dict[str, Any]:
        await self._checks.delete(wire.place(_part(args, "space")).namespace, wire.identity(args, "check_id"))
        return {}


def _app(args: Any) -> tuple[wire.Place, str]:
    app = _part(args, "app")
    return wire.place(_part(app, "space")), wire.app_name(app)


def _part(raw: Any, key: str) -> Any:
    if not isinstance(raw, dict) or key not in raw:
        raise wire.Refused(f"{key} is missing")
    return raw[key]


def _error(kind: str, message: str, code: str = "invalid") -> dict[str, Any]:
    return {"v": VERSION, "error": {"kind": kind, "code": code, "message": message}}
