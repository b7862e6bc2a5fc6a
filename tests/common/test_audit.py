"""The audit: no event can be changed, added or left out unnoticed. What was purged is told from what was removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from common.events.catalogue import PLATFORM
from common.models import AuditSeal, EventRow, Feed
from common.secrets.envelopes import public_key, read_keys
from common.services.activity import audit
from common.services.activity.audit_checks import FeedFinding, NotedSeal, check_audit
from common.services.activity.events import purge_events
from common.settings import settings
from common.transaction import Transaction, transactional
from tests.web.world import at_once

FEED = "project-1"


@pytest.fixture(autouse=True)
def _on_both_databases(database_url: str, use_database: Callable[[str], None]) -> None:
    use_database(database_url)


@transactional
def record_event(tx: Transaction, amount: int, *, feed: str = FEED, days_ago: float = 0) -> None:
    """Events of this feed, as transactions leave them."""
    row = next(iter(tx.lock_all(Feed, [feed])), None) or tx.add(Feed(id=feed, seq=0))
    for _ in range(amount):
        row.seq += 1
        tx.session.add(
            EventRow(
                feed_id=feed, seq=row.seq, name="task:created", data=f'{{"number":{row.seq}}}', actor="max",
                request_id=None, task_id=None, at=tx.now() - timedelta(days=days_ago),
            )
        )  # fmt: skip


@transactional
def change(tx: Transaction, model: Any, *where: Any, **values: Any) -> None:
    """Somebody with access to the database changes rows; without values: deletes them."""
    statement = update(model).where(*where).values(**values) if values else delete(model).where(*where)
    changed: Any = tx.session.execute(statement.execution_options(synchronize_session=False))
    assert changed.rowcount > 0


def found(feed: str = FEED, noted: Sequence[NotedSeal] = ()) -> FeedFinding:
    keys = read_keys(public_key(settings().security.signing_seed))
    (finding,) = (one for one in check_audit(keys, noted) if one.feed_id == feed)
    return finding


def amounts(finding: FeedFinding) -> tuple[int, int, int, str | None]:
    return finding.sealed, finding.purged, finding.unsealed, finding.problem


def test_events_are_as_they_were_sealed() -> None:
    record_event(3)
    record_event(2, feed=PLATFORM)
    assert audit.seal_events() == 5
    record_event(1)

    assert amounts(found()) == (3, 0, 1, None)
    assert amounts(found(PLATFORM)) == (2, 0, 0, None)
    assert audit.seal_events() == 1
    assert audit.seal_events() == 0
    assert amounts(found()) == (4, 0, 0, None)


def test_several_sweeps_at_once_seal_each_event_once() -> None:
    record_event(audit.RANGE_EVENTS + 100)

    sealed = at_once(audit.seal_events, lambda: record_event(1), audit.seal_events, audit.seal_events)
    audit.seal_events()

    assert audit.RANGE_EVENTS <= sum(number or 0 for number in sealed) <= audit.RANGE_EVENTS + 101
    assert amounts(found()) == (audit.RANGE_EVENTS + 101, 0, 0, None)


@pytest.mark.parametrize(
    "values",
    [{"actor": "sam"}, {"data": "{}"}, {"seq": 9}, {}],
    ids=lambda values: next(iter(values), "gone"),
)
def test_a_changed_event_is_noticed(values: dict[str, Any]) -> None:
    for _ in range(3):
        record_event(2)
        audit.seal_events()
    change(EventRow, EventRow.feed_id == FEED, EventRow.seq == 4, **values)

    finding = found()

    assert finding.sealed == 2
    assert finding.problem is not None
    assert finding.problem.startswith("events 3 to 4 are not as they were sealed at ")


@pytest.mark.parametrize("values", [{"last_seq": 1}, {"feed_id": "project-2"}, {"envelope": "{}"}], ids=str)
def test_a_changed_seal_is_noticed(values: dict[str, Any]) -> None:
    record_event(2)
    audit.seal_events()
    change(AuditSeal, AuditSeal.number == 1, **values)

    assert (found(values.get("feed_id", FEED)).problem or "").startswith("seal 1 was changed: ")


def test_what_was_purged_is_no_forgery() -> None:
    record_event(3, days_ago=40)
    audit.seal_events()
    record_event(2, days_ago=35)
    record_event(2)
    audit.seal_events()

    assert purge_events(older_than_days=30) == 3
    record_event(1)

    # The second range has younger events, too, and stays until all of it is old.
    assert amounts(found()) == (4, 3, 1, None)
    audit.seal_events()
    assert amounts(found()) == (5, 3, 0, None)


def test_events_that_are_removed_without_a_purge_are_missed() -> None:
    record_event(3, days_ago=40)
    audit.seal_events()
    record_event(3, days_ago=35)
    audit.seal_events()
    purge_events(older_than_days=38)

    change(EventRow, EventRow.feed_id == FEED)

    assert amounts(found())[:2] == (0, 3)
    assert (found().problem or "").startswith("events 4 to 6 are not as they were")


def test_only_this_platforms_key_counts() -> None:
    record_event(1)
    audit.seal_events()

    (finding,) = check_audit(read_keys(public_key(b"x" * 32)))

    assert (finding.problem or "").startswith("seal 1 was changed: it is signed by another key")


def forget_newest(amount: int) -> None:
    """As who can write the database does, without the key: the events after these, with their seals."""
    change(EventRow, EventRow.feed_id == FEED, EventRow.seq > amount)
    change(AuditSeal, AuditSeal.feed_id == FEED, AuditSeal.last_seq > amount)


def test_newest_events_that_are_removed_with_their_seals_are_missed() -> None:
    for _ in range(3):
        record_event(2)
        audit.seal_events()
    forget_newest(2)
    assert found().problem == "events 3 to 6 are missing"


def test_a_noted_seal_tells_of_what_was_removed_with_the_count() -> None:
    for _ in range(2):
        record_event(2)
        audit.seal_events()
    noted = found().newest
    assert noted is not None
    assert noted.number == 2
    assert found(noted=[noted]).problem is None

    forget_newest(2)
    change(Feed, Feed.id == FEED, seq=2)
    record_event(3)
    audit.seal_events()

    assert found().problem is None
    assert found(noted=[noted]).problem == f"seal 2 is not the one that was noted, {noted.sha256}"
