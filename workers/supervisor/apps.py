"""The apps: for each, its live version, the version that is starting (the candidate), and its public port.

The port is chosen when an app is first ensured and stored in the app's directory. A new supervisor takes it again
before it starts anything, so the app's address stays the same. Versions are known in memory only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path

from common.machine.files import replace_file
from common.values.delivery.app import App, AppPhase, AppState, ProjectNamespace, Version
from common.values.json_codec import encode
from common.values.log_line import LogLine
from workers.supervisor.removals import remove_or_log
from workers.supervisor.shared_resources import SharedResources
from workers.supervisor.state_files import read_state
from workers.supervisor.traffic.forward import Forwarder
from workers.supervisor.traffic.gate import Gate
from workers.supervisor.traffic.ports import NoFreePort
from workers.supervisor.units.health import VersionFailed
from workers.supervisor.units.logs import LogFile, last_lines
from workers.supervisor.version import RunningVersion

log = logging.getLogger(__name__)

DRAIN_SECONDS = 5.0
VERSIONS_KEPT = 20


class NoPort(Exception):
    """The app can't listen now, or its port can't be stored; the same call may succeed later."""


@dataclass(frozen=True)
class StoredApp:
    """The content of app.json in an app's directory."""

    port: int
    project_id: str


class RunningApp:
    """One app with its port and versions. Call `open` first."""

    def __init__(
        self, space: ProjectNamespace, name: str, directory: Path, shared: SharedResources, *, has_gate: bool
    ) -> None:
        self.space = space
        self.name = name
        self.port = 0
        self.wanted_id: str | None = None
        self._directory = directory
        self._shared = shared
        self._is_guarded = False
        self._gate = Gate(space.namespace, name) if has_gate else None
        self._forwarder = Forwarder(lambda: self._live, self._gate)
        self._live: RunningVersion | None = None
        self._candidate: RunningVersion | None = None
        self._versions: dict[str, RunningVersion] = {}
        self._endings: set[asyncio.Task[None]] = set()

    async def open(self, host: str) -> None:
        """Listen on the app's stored port; on another one if there is none or it is taken. Raises NoPort.

        The port is free again if it can't be stored.
        """
        file = self._directory / "app.json"
        known = read_state(file, StoredApp)
        kept = None if known is None else known.port
        try:
            self.port = self._shared.ports.take(host, kept)
        except NoFreePort as error:
            raise NoPort(f"{self.space.namespace}/{self.name} can't listen on {host}: {error}") from error
        try:
            await self._listen(host, kept, file)
        except BaseException:
            await self._forwarder.close()
            self._shared.ports.free(self.port)
            raise

    async def _listen(self, host: str, kept: int | None, file: Path) -> None:
        """Listen on the port that was taken, and store it in the file. Raises NoPort."""
        try:
            await self._forwarder.open(host, self.port)
        except OSError as error:
            raise NoPort(f"{self.space.namespace}/{self.name} can't listen on {host}: {error}") from error
        if kept not in (None, self.port):
            log.warning(
                "port %s of %s/%s is used by another program; the app's port is %s from now on",
                kept, self.space.namespace, self.name, self.port,
            )  # fmt: skip
        kept_now = encode(StoredApp(self.port, self.space.project_id))
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            replace_file(file, json.dumps(kept_now).encode(), is_synced=False)
        except OSError as error:
            raise NoPort(f"{self.space.namespace}/{self.name} can't be stored: {error.strerror}") from error

    def guard(self, is_guarded: bool) -> None:
        """Set whether only browsers with a session may use the app. Without a gate (loopback only) it stays open."""
        self._is_guarded = is_guarded
        if self._gate is not None:
            self._gate.is_shut = is_guarded

    def entry(self, public_host: str) -> str | None:
        """Return a one-time address that opens the app in one browser; None if the app is open to everybody."""
        if self._gate is None or not self._gate.is_shut:
            return None
        return self._url(public_host) + self._gate.issue()

    def ensure(self, wanted: Version) -> None:
        """Make this the wanted version and start it unless it runs or has failed. See Runtime.ensure_app."""
        self.wanted_id = wanted.version_id
        if self._candidate is not None and self._candidate.version_id != wanted.version_id:
            self._replace_candidate(wanted.version_id)
        known = self._versions.get(wanted.version_id)
        is_retried = wanted.is_retried and known is not None and known.has_failed_itself and known is not self._live
        is_over = known is not None and known.has_failed_itself and not wanted.was_healthy
        is_there = known is not None and (known in {self._live, self._candidate} or is_over)
        if is_there and not is_retried:
            return
        version_id = wanted.version_id
        place, log_file = self._directory / "versions" / version_id, LogFile(self._log_path(version_id))
        version = RunningVersion(wanted, self.space.project_id, place, log_file, self._shared, self._switch)
        if known is not None:
            # An earlier version is wanted again: its directory is free only after its old process has stopped.
            self._end(self._after(known, version))
        else:
            version.begin()
        self._versions.pop(version_id, None)
        self._versions[version_id] = self._candidate = version
        self._forget_old_versions()

    def state(self, version_id: str, public_host: str) -> AppState | None:
        """Return the state of one version; None if it is not known."""
        version = self._versions.get(version_id)
        if version is None:
            return None
        live = self._live
        serves = live is not None and (live.phase is AppPhase.LIVE or live.is_answering)
        return AppState(
            phase=version.phase,
            url=self._url(public_host),
            live_version_id=live.version_id if live is not None and serves else None,
            reason=version.failure.reason if version.failure else None,
            code=version.failure.code if version.failure else None,
            restarts=version.restarts,
            checked_seconds=round(version.checked_seconds, 1),
            is_guarded=self._is_guarded,
        )

    def log_lines(self, version_id: str, limit: int) -> list[LogLine]:
        return last_lines(self._log_path(version_id), limit)

    async def close(self) -> None:
        """Stop listening and stop all versions."""
        await self._forwarder.close()
        await asyncio.gather(*(version.stop() for version in self._versions.values()), *self._endings)
        self._shared.ports.free(self.port)

    def _replace_candidate(self, by: str) -> None:
        replaced, self._candidate = self._candidate, None
        if replaced is not None:
            if replaced.phase is AppPhase.STARTING:
                replaced.fail(VersionFailed("replaced", f"version {by} replaced this one before it was live"))
            self._end(replaced.stop())

    def _switch(self, version: RunningVersion) -> None:
        """Send new connections to this version. The previous one is stopped after its connections have ended."""
        before, self._live = self._live, version
        self._candidate = None
        if before is not None:
            self._end(self._retire(before))

    async def _retire(self, version: RunningVersion) -> None:
        await self._forwarder.drain(version, DRAIN_SECONDS)
        await version.stop()

    async def _after(self, before: RunningVersion, version: RunningVersion) -> None:
        await before.stop(0)
        if not version.is_stopped:
            version.begin()

    def _end(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    def _forget_old_versions(self) -> None:
        for version_id, version in list(self._versions.items())[:-VERSIONS_KEPT]:
            if version is not self._live and version is not self._candidate:
                del self._versions[version_id]
                self._end(version.stop())
        logs = sorted((self._directory / "logs").glob("*.log*"), key=lambda file: file.stat().st_mtime)
        for file in logs[: -2 * VERSIONS_KEPT]:
            file.unlink(missing_ok=True)

    def _url(self, public_host: str) -> str:
        host = f"[{public_host}]" if ":" in public_host else public_host
        return f"http://{host}:{self.port}"

    def _log_path(self, version_id: str) -> Path:
        return self._directory / "logs" / f"{version_id}.log"


class Apps:
    """All apps, by namespace and name."""

    def __init__(self, directory: Path, bind_host: str, shared: SharedResources) -> None:
        self._directory = directory
        self._bind_host = bind_host
        self._shared = shared
        self._apps: dict[tuple[str, str], RunningApp] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def restore(self) -> None:
        """Take every stored port again, and delete the checkouts of an earlier supervisor."""
        for file in self._directory.glob("*/*/app.json"):
            remove_or_log(file.parent / "versions")
            kept = read_state(file, StoredApp)
            if kept is None:
                continue
            space = ProjectNamespace(file.parent.parent.name, kept.project_id)
            with contextlib.suppress(NoPort):  # `ensure` tries again
                await self._opened(App(space, file.parent.name))

    async def ensure(self, app: App, wanted: Version) -> RunningApp:
        """Open the app, if needed, and make it run this version. Raises NoPort."""
        async with self._lock(app.space.namespace, app.name):
            running = await self._opened(app)
            running.guard(app.is_guarded)
            running.ensure(wanted)
            return running

    def find(self, app: App) -> RunningApp | None:
        return self._apps.get((app.space.namespace, app.name))

    async def delete(self, namespace: str, name: str) -> None:
        async with self._lock(namespace, name):
            app = self._apps.pop((namespace, name), None)
            if app is not None:
                await app.close()
            await asyncio.to_thread(remove_or_log, self._directory / namespace / name)
            with contextlib.suppress(OSError):  # the namespace still has other apps
                (self._directory / namespace).rmdir()

    async def delete_namespace(self, namespace: str) -> None:
        names = [name for of, name in self._apps if of == namespace]
        await asyncio.gather(*(self.delete(namespace, name) for name in names))
        await asyncio.to_thread(remove_or_log, self._directory / namespace)

    def listed(self) -> list[tuple[str, str, str | None]]:
        return [(namespace, name, app.wanted_id) for (namespace, name), app in sorted(self._apps.items())]

    async def close(self) -> None:
        await asyncio.gather(*(app.close() for app in self._apps.values()))

    async def _opened(self, app: App) -> RunningApp:
        key = (app.space.namespace, app.name)
        if key not in self._apps:
            directory = self._directory / app.space.namespace / app.name
            has_gate = not _is_loopback(self._bind_host)
            running = RunningApp(app.space, app.name, directory, self._shared, has_gate=has_gate)
            await running.open(self._bind_host)
            self._apps[key] = running
        return self._apps[key]

    def _lock(self, namespace: str, name: str) -> asyncio.Lock:
        return self._locks.setdefault((namespace, name), asyncio.Lock())


def _is_loopback(host: str) -> bool:
    """Whether only users of this machine can connect to this address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
