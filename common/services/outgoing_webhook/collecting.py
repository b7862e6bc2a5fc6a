"""Makes the outgoing webhook's messages of the events since the last look.

The events are the outbox: they are committed with what they tell of, so none is lost if nothing looks for a while.
How far a feed was read is committed with the messages made of it.
"""

from __future__ import annotations

from sqlalchemy import delete, func, select

from common.jobs import catalogue
from common.models.journal import EventRow, Feed
from common.models.project import Project
from common.models.webhook import WebhookDelivery, WebhookPosition
from common.services.outgoing_webhook.notices import READERS, body_of, notice_of
from common.services.outgoing_webhook.webhook_settings import lock_kinds, webhook_kinds
from common.transaction import Transaction, snapshot, transactional
from common.values.names import new_id

PAGE = 200
"""Events that one transaction reads of a feed; the next look goes on."""


def collect_notices() -> int:
    """Make a message of each new event that people are told of. Returns how many. Safe to repeat, and at once."""
    with snapshot() as read:
        if webhook_kinds(read) is None:
            return 0
        read_to = func.coalesce(WebhookPosition.seq, 0)
        behind = select(Feed.id).outerjoin(WebhookPosition, WebhookPosition.feed_id == Feed.id)
        feeds = list(read.session.scalars(behind.where(Feed.seq > read_to).order_by(Feed.id)))
    return sum(_collect_feed(feed_id) for feed_id in feeds)


@transactional
def purge_positions(tx: Transaction) -> None:
    """Forget how far the feeds of deleted projects were read."""
    tx.session.execute(delete(WebhookPosition).where(WebhookPosition.feed_id.not_in(select(Feed.id))))


@transactional
def _collect_feed(tx: Transaction, feed_id: str) -> int:
    kinds = lock_kinds(tx)
    # The counter first: every event up to it is committed.
    newest = tx.session.execute(select(Feed.seq).where(Feed.id == feed_id)).scalar_one_or_none()
    if kinds is None or newest is None:
        return 0
    position = tx.session.get(WebhookPosition, feed_id, populate_existing=True)
    if position is None:
        position = tx.add(WebhookPosition(feed_id=feed_id, seq=0))
    query = select(EventRow).where(
        EventRow.feed_id == feed_id, EventRow.seq > position.seq, EventRow.seq <= newest, EventRow.name.in_(READERS)
    )
    events = tx.all(query.order_by(EventRow.seq).limit(PAGE))
    project = tx.session.get(Project, feed_id)
    made = sum(_made(tx, event, project, kinds) for event in events) if project is not None else 0
    position.seq = events[-1].seq if len(events) == PAGE else newest
    if made:
        tx.enqueue(catalogue.SEND_WEBHOOK, "platform", project_id=None)
    return made


def _made(tx: Transaction, event: EventRow, project: Project, kinds: frozenset[str]) -> bool:
    notice = notice_of(tx, event)
    if notice is None or notice.kind not in kinds:
        return False
    tx.add(
        WebhookDelivery(
            id=new_id(), kind=notice.kind, project_id=project.id, body=body_of(notice, event, project),
            next_at=tx.now(), created_at=tx.now(),
        )
    )  # fmt: skip
    return True
