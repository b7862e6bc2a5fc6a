"""The scheduler of Celery beat. It goes by a clock that nobody sets, and needs no room on a disk.

Celery's own goes by the machine's clock, whose times it also writes down: after that was set back, it would start no
sweep for as long as it was set back, also after a restart.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from celery import Celery
from celery.beat import Scheduler


class SteadyScheduler(Scheduler):  # type: ignore[misc]
    """Starts each entry of the schedule regularly, the first time after one interval."""

    def __init__(self, app: Celery, *, schedule_filename: str, **options: object) -> None:
        self._file = Path(schedule_filename)
        self._due_at: dict[str, float] = {}
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

    def sync(self) -> None:
        """Give the file a new time, by which a probe sees that this goes on. Called every three minutes."""
        with contextlib.suppress(OSError):
            self._file.touch()
