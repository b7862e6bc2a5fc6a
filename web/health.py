"""The health of the parts that the platform depends on.

Each part is checked in a thread of its own, for at most two seconds; a part that hangs is not checked again until its
check has ended. A result is reused for a second, so frequent requests put no load on the parts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from common.events import feed
from common.machine.disk import Disk, DiskState, measure_disk
from common.providers.forge import forge
from common.providers.runtime import runtime
from common.services.upkeep import schema
from common.services.upkeep.sweep_age import sweep_age_seconds
from common.settings import Settings, settings
from common.values.runs.confinement import Confinement

log = structlog.get_logger()

ANSWER_SECONDS = 2.0
GOOD_FOR_SECONDS = 1.0
SWEEP_LATE_SECONDS = 60.0


@dataclass(frozen=True)
class Part:
    """name: as in the API. good and bad: its status when it answers and when it does not."""

    name: str
    ask: Callable[[], object]
    good: str
    bad: str


@dataclass(frozen=True)
class Health:
    """status: `ok`, `degraded` or `down`. disk: of the data directory; None if it can't be read. confinement: of the
    local runtime's programs; None if it does not answer, and for a cluster."""

    status: str
    at: datetime
    services: dict[str, str]
    is_sweep_late: bool
    disk: DiskState | None
    confinement: Confinement | None


PARTS = (
    Part("mysql", schema.ping, "connected", "disconnected"),
    Part("redis", feed.ping, "connected", "disconnected"),
    Part("gitea", lambda: forge().ping(), "reachable", "unreachable"),
    Part("kubernetes", lambda: runtime().ping(), "connected", "disconnected"),
)
VITAL = ("mysql", "redis")
NEEDED_TO_SERVE = tuple(part for part in PARTS if part.name == "mysql")
"""Without Redis, requests are served and sockets read the database: to send everybody away would be an outage."""


class Examination:
    """Checks the parts, at most once a second however often it is asked."""

    def __init__(self, parts: tuple[Part, ...] = PARTS) -> None:
        self._parts = parts
        self._pool = ThreadPoolExecutor(max_workers=len(parts) + 2, thread_name_prefix="health")
        self._asked: dict[str, Future[object]] = {}
        self._lock = threading.Lock()
        self._latest: tuple[float, Health] | None = None
        self._began = time.monotonic()
        self._is_current = False

    def health(self) -> Health:
        """The present health, at most a second old. Takes at most about ANSWER_SECONDS."""
        with self._lock:
            if self._latest is None or time.monotonic() - self._latest[0] > GOOD_FOR_SECONDS:
                found = self._look()
                self._latest = (time.monotonic(), found)
            return self._latest[1]

    def _look(self) -> Health:
        questions: dict[str, Callable[[], object]] = {part.name: part.ask for part in self._parts}
        questions |= {"sweep": sweep_age_seconds, "disk": read_disk}
        for name, ask in questions.items():
            # A check that still hangs is not started again: its threads would pile up.
            if name not in self._asked or self._asked[name].done():
                self._asked[name] = self._pool.submit(ask)
        wait(self._asked.values(), timeout=ANSWER_SECONDS)
        answers = {part.name: self._answered(part.name) for part in self._parts}
        is_sweep_late = self._is_sweep_late()
        disk = self._disk()
        if not all(answers[name] for name in VITAL if name in answers):
            status = "down"
        else:
            is_well = all(answers.values()) and not is_sweep_late and disk in {DiskState.OK, DiskState.SCARCE}
            status = "ok" if is_well else "degraded"
        words = {part.name: part.good if answers[part.name] else part.bad for part in self._parts}
        return Health(status, datetime.now(UTC), words, is_sweep_late, disk, self._confinement())

    def _answered(self, name: str) -> bool:
        asked = self._asked[name]
        if not asked.done():
            return False
        fault = asked.exception()
        if fault is not None:
            log.warning("a part does not answer", part=name, error=type(fault).__name__)
        return fault is None

    def _is_sweep_late(self) -> bool:
        asked = self._asked["sweep"]
        if not asked.done() or asked.exception() is not None:
            return True
        age = asked.result()
        # A new instance has had no sweep yet: that counts as late once this process has run for long enough.
        return (time.monotonic() - self._began if not isinstance(age, float) else age) > SWEEP_LATE_SECONDS

    def _disk(self) -> DiskState | None:
        asked = self._asked["disk"]
        found = asked.result() if asked.done() and asked.exception() is None else None
        return found.state if isinstance(found, Disk) else None

    def _confinement(self) -> Confinement | None:
        asked = self._asked.get("kubernetes")
        found = asked.result() if asked and asked.done() and asked.exception() is None else None
        return found if isinstance(found, Confinement) else None

    def is_schema_current(self) -> bool:
        """Whether the schema is this version's. True is kept: only a newer version of the program changes it."""
        self._is_current = self._is_current or schema.is_current()
        return self._is_current

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def read_disk() -> Disk:
    """The disk of the data directory. Raises OSError."""
    store = settings().store
    return measure_disk(store.data_dir, store.disk_reserve_bytes)


def backends(chosen: Settings | None = None) -> dict[str, str]:
    """The software behind each part, by the part's name in the API."""
    chosen = chosen or settings()
    return {
        "mysql": "sqlite" if chosen.store.is_sqlite else "mysql",
        "redis": "valkey (embedded)" if chosen.store.redis_embedded else "redis",
        "gitea": chosen.forge.kind,
        "kubernetes": chosen.runtime.kind,
    }
