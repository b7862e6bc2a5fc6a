"""Whether the clockwork still ticks."""

from __future__ import annotations

from common.models.journal import Mark
from common.transaction import snapshot


def sweep_age_seconds() -> float | None:
    """How long ago the sweep last ran, by the database's clock; None if it never has."""
    with snapshot() as read:
        mark = read.get(Mark, "sweep")
        return None if mark is None else (read.now() - mark.at).total_seconds()
