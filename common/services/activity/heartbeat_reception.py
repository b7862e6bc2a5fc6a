"""Since when heartbeats of agents count: the sweep checks agents, and a web process takes their heartbeats.

Web processes and workers are started, stopped and lost apart from each other. No agent is lost for a time
in which its heartbeats could not be received.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from common.models.agent import Agent
from common.models.journal import Mark
from common.services.activity.jobs import set_mark
from common.transaction import Snapshot, Transaction, transactional

SIGN_SECONDS = 10
"""How often a web process says that it takes heartbeats."""
AWAY_SECONDS = 30
"""The platform was down if no sweep looked at its agents for this long, or no web process took their heartbeats."""
_SWEEP, _WEB = "listening", "hearing"


@transactional
def note_heartbeats_taken(tx: Transaction) -> None:
    """A web process takes heartbeats now. Safe to repeat."""
    set_mark(tx, _WEB, {})


def note_sweep(tx: Transaction) -> datetime | None:
    """Note that a sweep checks the agents now. Returns as `heartbeats_taken_since`.

    Now, while nobody could hear them.
    """
    since = tx.now() if _is_web_away(tx) else heartbeats_taken_since(tx)
    set_mark(tx, _SWEEP, {"since": since.isoformat() if since else None})
    return since


def heartbeats_taken_since(at: Snapshot | Transaction) -> datetime | None:
    """When heartbeats were taken again after the platform was down for AWAY_SECONDS; None if it never was.

    Now, until a sweep has looked at them again.
    """
    mark = _mark(at, _SWEEP)
    if mark is None:
        return None
    if mark.at < _long_ago(at):
        return at.now()
    kept = mark.value.get("since")
    # Not later than now: the clock may have been set back.
    return min(datetime.fromisoformat(str(kept)), at.now()) if kept else None


def waits_since(at: Snapshot | Transaction, since: datetime) -> datetime:
    """From when on a wait counts that began at `since`: anew, if the platform was off meanwhile."""
    heard = heartbeats_taken_since(at)
    return since if heard is None else max(since, heard)


def _is_web_away(tx: Transaction) -> bool:
    """Whether no web process has given a sign for AWAY_SECONDS, and no agent was heard since either.

    Before the first sign, none is expected.
    """
    sign = _mark(tx, _WEB)
    if sign is None or sign.at >= _long_ago(tx):
        return False
    # A worker adds the agents of pods, which counts as the first time that they were seen.
    was_heard = (Agent.seen_at >= _long_ago(tx), Agent.seen_at > Agent.created_at)
    return tx.find(select(Agent).where(*was_heard).limit(1)) is None


def _mark(at: Snapshot | Transaction, name: str) -> Mark | None:
    return at.find(select(Mark).where(Mark.name == name))


def _long_ago(at: Snapshot | Transaction) -> datetime:
    return at.now() - timedelta(seconds=AWAY_SECONDS)
