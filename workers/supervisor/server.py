"""The supervisor's socket: newline-delimited JSON over a Unix socket that only its own user can open.

A request is one line `{"v": 2, "verb": "read_app", "args": {…}}`, its reply one line `{"v": 2, "ok": …}` or
`{"v": 2, "error": {"kind": "refused" | "unavailable", "code", "message"}}`. A connection may send any number of
requests, one after the other. The verbs are the methods of Verbs: their annotations define the types of arguments,
which are checked first, and of replies. `common.values.json_codec` defines the encoding.

No verb waits for a program, except that the delete verbs wait until the deletion is complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from common.values.constraints import Count, Identity
from common.values.delivery.app import App, AppState, ProjectNamespace, Version
from common.values.json_codec import SOCKET_VERSION, Json, Malformed, decode_arguments, encode
from common.values.log_line import LogLine
from common.values.runs.confinement import Confinement
from common.values.testing.check import Check, CheckState
from workers.supervisor.apps import Apps, NoPort
from workers.supervisor.checks import Checks

log = logging.getLogger(__name__)

LINE_BYTES = 16 * 2**20
MOST_LOG_LINES = 5000


class Verbs:
    """The verbs of the socket: every public method, by its name. See Runtime for what they do."""

    def __init__(
        self,
        apps: Apps,
        checks: Checks,
        public_host: str,
        forget_project: Iterable[Callable[[str], None]],
        confinement: Confinement,
    ) -> None:
        self._apps = apps
        self._checks = checks
        self._public_host = public_host
        self._forget_project = tuple(forget_project)
        self._confinement = confinement

    async def ping(self) -> Confinement:
        """Return how programs are confined; shows that the supervisor answers."""
        return self._confinement

    async def ensure_environment(self, space: ProjectNamespace) -> None:
        """No-op: the local runtime needs no environment."""

    async def delete_environment(self, space: ProjectNamespace) -> None:
        await asyncio.gather(
            self._apps.delete_namespace(space.namespace), self._checks.delete_namespace(space.namespace)
        )
        for forget in self._forget_project:
            await asyncio.to_thread(forget, space.project_id)

    async def ensure_app(self, app: App, version: Version) -> AppState | None:
        running = await self._apps.ensure(app, version)
        return running.state(version.version_id, self._public_host)

    async def read_app(self, app: App, version_id: Identity) -> AppState | None:
        running = self._apps.find(app)
        return running.state(version_id, self._public_host) if running else None

    async def open_app(self, app: App) -> str | None:
        running = self._apps.find(app)
        return running.entry(self._public_host) if running else None

    async def delete_app(self, app: App) -> None:
        await self._apps.delete(app.space.namespace, app.name)

    async def list_apps(self) -> list[tuple[str, str, str | None]]:
        return self._apps.listed()

    async def app_logs(self, app: App, version_id: Identity, limit: Count) -> list[LogLine]:
        running = self._apps.find(app)
        return running.log_lines(version_id, min(limit, MOST_LOG_LINES)) if running else []

    async def ensure_check(self, check: Check) -> CheckState:
        return self._checks.ensure(check)

    async def read_check(self, space: ProjectNamespace, check_id: Identity) -> CheckState | None:
        return self._checks.state(space, check_id)

    async def delete_check(self, space: ProjectNamespace, check_id: Identity) -> None:
        await self._checks.delete(space.namespace, check_id)


class Server:
    """Answers the verbs."""

    def __init__(self, verbs: Verbs) -> None:
        self._server: asyncio.Server | None = None
        self._verbs: dict[str, Callable[..., Awaitable[object]]] = {
            name: getattr(verbs, name) for name in vars(Verbs) if not name.startswith("_")
        }

    async def open(self, path: Path) -> None:
        """Start listening. The caller holds the directory's lock, so an existing socket is from a dead supervisor."""
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, path, limit=LINE_BYTES)
        path.chmod(0o600)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A client that disconnects, or sends a line above LINE_BYTES, is disconnected without an error.
            with contextlib.suppress(OSError, ValueError, asyncio.CancelledError):
                while line := await reader.readline():
                    writer.write(json.dumps(await self._reply(line)).encode() + b"\n")
                    await writer.drain()
        finally:
            writer.close()

    async def _reply(self, line: bytes) -> dict[str, Json]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict) or request.get("v") != SOCKET_VERSION:
                return _error(
                    "refused", f"this supervisor speaks version {SOCKET_VERSION}; stop and start all of AiWorker"
                )
            verb = self._verbs.get(str(request.get("verb")))
            if verb is None:
                return _error("refused", f"there is no verb {str(request.get('verb'))[:50]!r}")
            return {"v": SOCKET_VERSION, "ok": encode(await verb(**decode_arguments(verb, request.get("args"))))}
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            return _error("refused", f"the request is not JSON: {error}")
        except Malformed as error:
            return _error("refused", str(error))
        except (NoPort, OSError) as error:
            log.warning("a request failed: %s", error)
            return _error("unavailable", str(error), "unavailable")


def _error(kind: str, message: str, code: str = "invalid") -> dict[str, Json]:
    return {"v": SOCKET_VERSION, "error": {"kind": kind, "code": code, "message": message}}
