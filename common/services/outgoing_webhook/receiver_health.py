"""Whether the outgoing webhook's receiver answers, and when it is tried next if it does not.

While it does not answer, all messages share its tries: after each there is a pause, also for those that were not tried
yet. Otherwise every message would wait for tries of all others that hang, and its own first one would come hours late.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from common.jobs.outbox import actor
from common.models.spend import PlatformSetting
from common.transaction import Snapshot, Transaction

log = structlog.get_logger()

SETTING_NAME = "webhook-silence"
"""The name of its row among the platform's settings. There is none while the receiver answers."""
PAUSES_SECONDS = (5, 15, 60)
"""After tries without an answer; the last one from then on. Short, as it is how late a receiver is asked again."""
LONGEST_UNSEEN = timedelta(hours=1)
"""After this time without a try, such as one with the platform off, nothing is known of the receiver."""


@dataclass(frozen=True)
class ReceiverPause:
    """since: when the first try ended without an answer. until: only tests are sent before. error: of the last try."""

    since: datetime
    until: datetime
    tries: int
    error: str

    @property
    def reason(self) -> str:
        """Why a message waits that was not tried yet."""
        return f"waits, as the receiver does not answer: {self.error}"


def pause_of(at: Snapshot | Transaction) -> ReceiverPause | None:
    """None: the receiver answers, as far as is known."""
    row = at.session.get(PlatformSetting, SETTING_NAME)
    if row is None:
        return None
    value, now = row.value, at.now()
    since, until = (datetime.fromisoformat(str(value[name])) for name in ("since", "until"))
    # A pause that lasts longer than any was begun by a clock that has been set back since.
    is_known = now - LONGEST_UNSEEN < until <= now + timedelta(seconds=PAUSES_SECONDS[-1])
    return ReceiverPause(since, until, int(str(value["tries"])), str(value["error"])) if is_known else None


def note_no_answer(tx: Transaction, error: str) -> ReceiverPause:
    """A try ended without an answer: begin the next pause."""
    before, now = pause_of(tx), tx.now()
    tries = 1 if before is None else before.tries + 1
    pause = PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS)) - 1]
    pause_begun = ReceiverPause(before.since if before else now, now + timedelta(seconds=pause), tries, error)
    if before is None:
        log.warning("the webhook's receiver does not answer", reason=error)
    value = {
        "since": pause_begun.since.isoformat(), "until": pause_begun.until.isoformat(), "tries": tries, "error": error,
    }  # fmt: skip
    row = tx.session.get(PlatformSetting, SETTING_NAME)
    if row is None:
        row = tx.add(PlatformSetting(name=SETTING_NAME, value=value, changed_by=actor(), changed_at=now))
    row.value, row.changed_by, row.changed_at = value, actor(), now
    return pause_begun


def note_answer(tx: Transaction) -> None:
    """The receiver answers, or it is another one. Safe to repeat."""
    row = tx.session.get(PlatformSetting, SETTING_NAME)
    if row is not None:
        tx.session.delete(row)
        tx.session.flush()
