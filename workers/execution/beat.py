"""The scheduler of Celery beat. It goes by a clock that nobody sets, and needs no room on a disk.

Celery's own goes by the machine's clock, whose times it also writes down: after that was set back, it would start no
sweep for as long as it was set back, also after a restart.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import structlog
from celery import Celery
from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from kombu.exceptions import OperationalError

log = structlog.get_logger()


class SteadyScheduler(Scheduler):  # type: ignore[misc]
    """Starts each entry of the schedule regularly, the first time after one interval."""

    def __init__(self, app: Celery, *, schedule_filename: str, **options: object) -> None:
        self._file = Path(schedule_filename)
        self._due_at: dict[str, float] = {}
        self._away_since: float | None = None
        super().__init__(app, **options)

    def setup_schedule(self) -> None:
        self.merge_inplace(self.app.conf.beat_schedule)

    def tick(self) -> float:
        """Start what is due. Returns the seconds until something is. What was missed is not made up for."""
        for name, entry in list(self.schedule.items()):
            now = time.monotonic()
            every = entry.schedule.run_every.total_seconds()
            if now >= self._due_at.setdefault(name, now + every):
                self._due_at[name] = now + every
                self.apply_entry(self.reserve(entry), producer=self.producer)
        return max(0.0, min(self._due_at.values()) - time.monotonic())

    def apply_entry(self, entry: ScheduleEntry, producer: object = None) -> None:
        """Send it. That Redis can't be reached is told once, and no bug: the next sweep is soon."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            if not isinstance(error.__context__, OperationalError):
                log.exception("a sweep could not be started", sweep=entry.task)
            elif self._away_since is None:
                self._away_since = time.monotonic()
                log.warning("no sweep is started until Redis answers again", reason=str(error.__context__))
        else:
            if self._away_since is not None:
                log.warning("sweeps are started again", seconds=round(time.monotonic() - self._away_since))
                self._away_since = None

    def sync(self) -> None:
        """Give the file a new time, by which a probe sees that this goes on. Called every three minutes."""
        with contextlib.suppress(OSError):
            self._file.touch()
