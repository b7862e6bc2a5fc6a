"""A platform that is off for a while, and on again."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from common.models import Mark
from common.transaction import Transaction, transactional


@transactional
def switch_off(tx: Transaction, minutes: float) -> None:
    """As if no sweep had looked at the agents for so long."""
    at = tx.now() - timedelta(minutes=minutes)
    tx.session.execute(update(Mark).where(Mark.name == "listening").values(at=at))


@transactional
def switch_on(tx: Transaction, minutes: float) -> None:
    """As if the platform had been on again for so long."""
    mark = tx.session.get_one(Mark, "listening")
    mark.value = {"since": (tx.now() - timedelta(minutes=minutes)).isoformat()}
