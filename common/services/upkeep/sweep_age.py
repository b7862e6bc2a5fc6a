"""The age of the last sweep, which shows whether the periodic jobs still run."""

from __future__ import annotations

from common.models.journal import Mark
from common.transaction import snapshot


def sweep_age_seconds() -> float | None:
    """The time since the last sweep, by the database's clock; None if there was none yet.

    A mark ahead of the clock was not renewed since the clock was set back: it is as old as it is far ahead.
    """
    with snapshot() as read:
        mark = read.get(Mark, "sweep")
        return None if mark is None else abs((read.now() - mark.at).total_seconds())
