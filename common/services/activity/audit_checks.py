"""Checks the audit: whether every sealed event is as it was, and every seal in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select

from common.models.delivery import Receipt
from common.models.journal import AuditSeal, EventRow, Feed
from common.secrets.envelopes import NotVerified, PublicKey, open_envelope
from common.secrets.signing import digest_of
from common.secrets.statement_types import AUDIT_TYPE
from common.services.activity.audit import PURGE, RANGE, digest_of_range
from common.transaction import Snapshot, snapshot

_ROWS_AT_ONCE = 200


@dataclass(frozen=True)
class NotedSeal:
    """A feed's seal, as somebody noted it elsewhere: its number, and the SHA-256 of its envelope."""

    feed_id: str
    number: int
    sha256: str


@dataclass(frozen=True)
class FeedFinding:
    """What became of a feed's events. problem: the first thing that is not as it was signed; None: nothing.

    sealed: events that are as they were; purged: that were deleted for their age; unsealed: since the last seal.
    since: when the first seal was made; None: there is none yet. newest: the newest seal, to be noted elsewhere; None:
    there is none, or there is a problem.
    """

    feed_id: str
    sealed: int = 0
    purged: int = 0
    unsealed: int = 0
    since: datetime | None = None
    problem: str | None = None
    newest: NotedSeal | None = None


def check_audit(keys: Sequence[PublicKey], noted: Sequence[NotedSeal] = ()) -> Iterator[FeedFinding]:
    """Check every feed, one after the other. keys: of this platform, the present one and those of before.

    noted: seals that must still be there, also of feeds that are gone.
    """
    with snapshot() as read:
        sealed = select(AuditSeal.feed_id).distinct()
        there = {*read.session.scalars(select(Feed.id)), *read.session.scalars(sealed)}
        for feed_id in sorted(there | {seal.feed_id for seal in noted}):
            yield _Walk(read, feed_id, keys, [seal for seal in noted if seal.feed_id == feed_id]).finding()


@dataclass
class _Walk:
    """A walk along the seals of one feed. last_seq: of the last range; 0: there was none yet."""

    read: Snapshot
    feed_id: str
    keys: Sequence[PublicKey]
    noted: Sequence[NotedSeal] = ()
    number: int = 0
    previous: str | None = None
    last_seq: int = 0
    sealed: int = 0
    purged: int = 0
    since: datetime | None = None
    digests: dict[int, str] = field(default_factory=dict)

    def finding(self) -> FeedFinding:
        newest = None
        # Before the events, which only become more.
        recorded = self.read.session.scalars(select(Feed.seq).where(Feed.id == self.feed_id)).first() or 0
        try:
            self._go_on()
            self._check_receipts()
            self._check_noted()
            unsealed, problem = self._count_unsealed(recorded), None
            if self.previous is not None:
                newest = NotedSeal(self.feed_id, self.number, self.previous)
        except NotVerified as error:
            unsealed, problem = 0, str(error)
        return FeedFinding(self.feed_id, self.sealed, self.purged, unsealed, self.since, problem, newest)

    def _go_on(self) -> None:
        """Walk along the seals that are there now, from where the walk is. Raises NotVerified."""
        while seals := self._next_seals():
            for seal in seals:
                self._step(seal)

    def _next_seals(self) -> Sequence[AuditSeal]:
        query = select(AuditSeal).where(AuditSeal.feed_id == self.feed_id, AuditSeal.number > self.number)
        return self.read.all(query.order_by(AuditSeal.number).limit(_ROWS_AT_ONCE))

    def _step(self, seal: AuditSeal) -> None:
        """Raises NotVerified if the seal, or what it seals, is not as it was signed."""
        if seal.number != self.number + 1:
            raise NotVerified(f"seal {self.number + 1} is missing")
        digest = self._signed_digest(seal)
        if seal.kind == RANGE:
            if self.last_seq and seal.first_seq != self.last_seq + 1:
                raise NotVerified(f"seal {seal.number} does not follow the one before it")
            self._check_events(seal, digest)
            self.last_seq = seal.last_seq
        self.number, self.previous, self.since = seal.number, digest_of(seal.envelope), self.since or seal.at
        self.digests[seal.number] = self.previous

    def _signed_digest(self, seal: AuditSeal) -> str:
        """The digest that the seal signs."""
        try:
            statement = open_envelope(seal.envelope, self.keys)
        except NotVerified as error:
            raise NotVerified(f"seal {seal.number} was changed: {error}") from error
        said, subjects = statement["predicate"], statement["subject"]
        signed = {
            "kind": seal.kind, "feed": seal.feed_id, "number": seal.number, "previous": self.previous,
            "firstSeq": seal.first_seq, "lastSeq": seal.last_seq,
        }  # fmt: skip
        is_same = isinstance(said, dict) and all(said.get(name) == value for name, value in signed.items())
        if statement.get("predicateType") != AUDIT_TYPE or not is_same or not isinstance(subjects, list):
            raise NotVerified(f"seal {seal.number} was changed: it signs something else")
        return str(subjects[0]["digest"]["sha256"])

    def _check_events(self, seal: AuditSeal, digest: str) -> None:
        amount = seal.last_seq - seal.first_seq + 1
        found, now = digest_of_range(self.read, self.feed_id, seal.first_seq, seal.last_seq)
        if (found, now) == (amount, digest):
            self.sealed += amount
        elif found == 0 and seal.last_seq <= self._purged_upto():
            self.purged += amount
        else:
            raise NotVerified(
                f"events {seal.first_seq} to {seal.last_seq} are not as they were sealed at {seal.at.isoformat()}"
            )

    def _purged_upto(self) -> int:
        """Up to where a later seal says that events were deleted. That seal is checked when the walk comes to it."""
        purges = select(func.max(AuditSeal.last_seq)).where(AuditSeal.feed_id == self.feed_id, AuditSeal.kind == PURGE)
        return self.read.session.scalars(purges).first() or 0

    def _check_receipts(self) -> None:
        """The seals that receipts name are those that are there: nobody made all of them anew, or left out the last."""
        number = 0
        while receipts := self._receipts_after(number):
            for receipt in receipts:
                self._check_receipt(receipt)
                number = receipt.number

    def _receipts_after(self, number: int) -> Sequence[Receipt]:
        query = select(Receipt).where(Receipt.project_id == self.feed_id, Receipt.number > number)
        return self.read.all(query.order_by(Receipt.number).limit(_ROWS_AT_ONCE))

    def _check_receipt(self, receipt: Receipt) -> None:
        try:
            statement = open_envelope(receipt.envelope, self.keys)
        except NotVerified as error:
            raise NotVerified(f"receipt {receipt.number} was changed: {error}") from error
        said = statement["predicate"]
        audit = said.get("audit") if isinstance(said, dict) else None
        if audit is None:
            return
        if audit["number"] not in self.digests:
            # It may be of a seal that was made after the walk had come to the end.
            self._go_on()
        if self.digests.get(audit["number"]) != audit["sha256"]:
            raise NotVerified(f"receipt {receipt.number} names another seal {audit['number']} than the one here")

    def _check_noted(self) -> None:
        for seal in self.noted:
            if self.digests.get(seal.number) != seal.sha256:
                raise NotVerified(f"seal {seal.number} is not the one that was noted, {seal.sha256}")

    def _count_unsealed(self, recorded: int) -> int:
        """How many events have no seal. Raises NotVerified if the last of the recorded events are not there."""
        later = select(func.count(), func.max(EventRow.seq)).where(
            EventRow.feed_id == self.feed_id, EventRow.seq > self.last_seq
        )  # fmt: skip
        amount, last = self.read.session.execute(later).one()
        last = max(last or 0, self.last_seq)
        if last < recorded:
            raise NotVerified(f"events {last + 1} to {recorded} are missing")
        return int(amount)
