"""The outgoing webhook's deliveries: which is tried next, what a try's end means, and what people see of them.

A delivery is tried until the receiver accepts it, or until the last of DELAYS_SECONDS or LONGEST_WAIT is over. It is
tried again if the platform did not learn how a try ended, always with the same id. Of a receiver that does not answer,
see `silences`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import func, select, update

from common.database import engines
from common.errors import Conflict, NotFound
from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models.webhook import WebhookDelivery
from common.services.outgoing_webhook.notices import chat_text
from common.services.outgoing_webhook.receiver_health import ReceiverPause, note_answer, note_no_answer, pause_of
from common.services.outgoing_webhook.webhook_settings import open_webhook, webhook_kinds
from common.services.requests.access import Caller
from common.services.requests.paging import MOST_COUNTED, Page, PageQuery, page_of
from common.services.upkeep.purging import purge
from common.settings import settings
from common.settings.retention import DELIVERY_DAYS
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.delivery.notice import Dispatch, DispatchAnswer, NoticeKind
from common.values.names import new_id
from common.values.states import Role

log = structlog.get_logger()

DELAYS_SECONDS = (5, 30, 120, 600, 1800, 3600, 7200, 14400)
"""The pauses after failed tries: nine tries in about eight hours, more than a chat's upgrade takes."""
LONGEST_PAUSE_SECONDS = 14400
LONGEST_WAIT = timedelta(seconds=sum(DELAYS_SECONDS))
"""After this time a failed try is the last one, also if there were fewer: while the receiver hangs, many messages wait
for each other's tries."""
LEAST_TRIES = 3
"""Of a message that became that old while the platform was off."""
SWITCHED_OFF = "the webhook was switched off before this was delivered"
OTHERS_FIRST = "waits for the messages before it: each is sent once the receiver has answered the one before"


@dataclass(frozen=True)
class DeliveryView:
    """A delivery, with what its body says. state: `waiting`, `delivered` or `blocked_by_cancelled`. next_at: None
    unless it waits. finished_at: None while it waits.
    """

    id: str
    kind: str
    state: str
    text: str
    link: str | None
    project_id: str | None
    attempts: int
    status: int | None
    answer: str | None
    error: str | None
    created_at: datetime
    next_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class _Outlook:
    """What those that wait wait for. first_id: of the message that is tried next; None: none waits."""

    now: datetime
    first_id: str | None
    silence: ReceiverPause | None


@transactional
def begin_delivery(tx: Transaction, lease: Lease) -> Dispatch | None:
    """The delivery that is due first. None: none is; the job is put off until one will be."""
    webhook = open_webhook(tx)
    if webhook is None:
        for waiting in tx.all(select(WebhookDelivery).where(WebhookDelivery.next_at.is_not(None))):
            _end(tx, waiting, error=SWITCHED_OFF)
        return None
    delivery = _first(tx)
    if delivery is None:
        return None
    if _due_at(delivery, pause_of(tx)) > tx.now():
        _go_on(tx, lease)
        return None
    return Dispatch(delivery.id, webhook.url, webhook.secret, delivery.body.encode(), tx.now())


@transactional
def record_delivery(tx: Transaction, lease: Lease, dispatch: Dispatch, answer: DispatchAnswer) -> None:
    """Record how a try ended: the delivery is over, or is tried again later. The job goes on with the next one.

    It is tried again at once if the address was changed during the try.
    """
    delivery = tx.lock(WebhookDelivery, dispatch.delivery_id)
    webhook = open_webhook(tx)
    delivery.attempts += 1
    delivery.last_status, delivery.last_answer = answer.status, answer.said or None
    is_there_yet = webhook is not None and webhook.url == dispatch.url
    tries = 1 if delivery.kind == NoticeKind.TEST else len(DELAYS_SECONDS) + 1
    if answer.error is None:
        _end(tx, delivery, error=None)
    elif webhook is not None and not is_there_yet and delivery.kind != NoticeKind.TEST:
        delivery.error, delivery.next_at = answer.error, tx.now()
    elif delivery.attempts >= tries or _has_waited_too_long(tx, delivery, answer):
        _end(tx, delivery, error=answer.error)
        log.warning("webhook delivery given up", delivery=delivery.id, attempts=delivery.attempts, reason=answer.error)
    else:
        pause = max(DELAYS_SECONDS[delivery.attempts - 1], min(answer.retry_after_seconds or 0, LONGEST_PAUSE_SECONDS))
        delivery.error, delivery.next_at = answer.error, tx.now() + timedelta(seconds=pause)
    tx.session.flush()
    if is_there_yet:
        _note_receiver(tx, answer)
    _go_on(tx, lease)


def list_deliveries(page: PageQuery, *, by: Caller) -> Page[DeliveryView]:
    """Deliveries of the last days, newest first."""
    by.require(Role.ADMIN)
    with snapshot() as read:
        found = page_of(
            read, select(WebhookDelivery), WebhookDelivery.created_at, WebhookDelivery.id, page,
            most_counted=MOST_COUNTED,
        )  # fmt: skip
        outlook = _outlook(read)
    return found.of([_view(row, outlook) for row in found.items])


def read_delivery(delivery_id: str, *, by: Caller) -> DeliveryView:
    by.require(Role.ADMIN)
    with snapshot() as read:
        row, outlook = read.get(WebhookDelivery, delivery_id), _outlook(read)
    if row is None:
        raise NotFound(f"webhook delivery {delivery_id}")
    return _view(row, outlook)


@transactional
def retry_delivery(tx: Transaction, delivery_id: str, *, by: Caller) -> DeliveryView:
    """Try a delivery again that was given up, with all tries. Conflict for any other, or without a webhook."""
    by.require(Role.ADMIN)
    delivery = tx.lock(WebhookDelivery, delivery_id)
    if (state := _state(delivery)) != "given_up":
        raise Conflict(f"delivery {delivery.id} is {state}; only one that was given up is tried again")
    _require_webhook(tx)
    delivery.attempts, delivery.given_up_at, delivery.next_at = 0, tx.now(), tx.now()
    _enqueue_delivery(tx)
    return _view(delivery, _outlook(tx))


@transactional
def test_webhook(tx: Transaction, *, by: Caller) -> DeliveryView:
    """Send a message that says so, by the same way as all others, but only once. Conflict without a webhook."""
    by.require(Role.ADMIN)
    _require_webhook(tx)
    link = settings().web.public_url
    at = tx.now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = chat_text("AiWorker: this is a test of the webhook", f"Asked for by {by.name}", link)
    body = {"type": "aiworker.test", "timestamp": at, "text": text, "data": {"kind": NoticeKind.TEST, "link": link}}
    delivery = tx.add(
        WebhookDelivery(
            id=new_id(), kind=NoticeKind.TEST, body=json.dumps(body), next_at=tx.now(), created_at=tx.now()
        )
    )  # fmt: skip
    _enqueue_delivery(tx)
    return _view(delivery, _outlook(tx))


def purge_deliveries() -> int:
    """Delete deliveries that are over and older than DELIVERY_DAYS. Returns how many. Safe to repeat."""
    with snapshot() as read:
        old = read.now() - timedelta(days=DELIVERY_DAYS)
    is_over = WebhookDelivery.next_at.is_(None)
    return purge(WebhookDelivery.id, WebhookDelivery.created_at < old, is_over)


def _outlook(at: Snapshot | Transaction) -> _Outlook:
    first = _first(at)
    return _Outlook(at.now(), first.id if first is not None else None, pause_of(at))


def _first(at: Snapshot | Transaction) -> WebhookDelivery | None:
    """A test, which somebody waits for, before what may have waited for hours; else what is due first."""
    due_first = WebhookDelivery.next_at, WebhookDelivery.id
    waiting = select(WebhookDelivery).where(WebhookDelivery.next_at.is_not(None)).order_by(*due_first).limit(1)
    return at.find(waiting.where(WebhookDelivery.kind == NoticeKind.TEST)) or at.find(waiting)


def _go_on(tx: Transaction, lease: Lease) -> None:
    """Run the job again when the next delivery is due; end it if there is none."""
    following = _first(tx)
    if following is None:
        tx.finish(lease)
    else:
        due_at = _due_at(following, pause_of(tx))
        tx.again(lease, after_seconds=max(0.0, (due_at - tx.now()).total_seconds()))


def _due_at(waiting: WebhookDelivery, silence: ReceiverPause | None) -> datetime:
    """When a delivery that waits is tried, if no other one is before it."""
    assert waiting.next_at is not None
    if silence is None or waiting.kind == NoticeKind.TEST:
        return waiting.next_at
    return max(waiting.next_at, silence.until)


def _note_receiver(tx: Transaction, answer: DispatchAnswer) -> None:
    """Note whether the receiver answers. What has waited as long as it has been silent is given up, tried or not."""
    if answer.status is not None or answer.error is None:
        note_answer(tx)
        return
    silence, now = note_no_answer(tx, answer.error), tx.now()
    if now - silence.since < LONGEST_WAIT or silence.tries < LEAST_TRIES:
        return
    begun = func.coalesce(WebhookDelivery.given_up_at, WebhookDelivery.created_at)
    # One that was answered waits for as long as the receiver has asked for.
    old = update(WebhookDelivery).where(
        WebhookDelivery.next_at.is_not(None), WebhookDelivery.kind != NoticeKind.TEST,
        WebhookDelivery.last_status.is_(None), begun <= now - LONGEST_WAIT,
    )  # fmt: skip
    blocked_by_cancelled = old.values(next_at=None, error=answer.error, given_up_at=now)
    if number := engines.rows_changed(tx.session, blocked_by_cancelled.execution_options(synchronize_session=False)):
        log.warning("webhook deliveries given up", number=number, reason=answer.error)


def _has_waited_too_long(tx: Transaction, delivery: WebhookDelivery, answer: DispatchAnswer) -> bool:
    if answer.retry_after_seconds or delivery.attempts < LEAST_TRIES:
        return False
    return tx.now() - (delivery.given_up_at or delivery.created_at) >= LONGEST_WAIT


def _end(tx: Transaction, delivery: WebhookDelivery, *, error: str | None) -> None:
    delivery.next_at, delivery.error = None, error
    delivery.delivered_at, delivery.given_up_at = (tx.now(), None) if error is None else (None, tx.now())


def _require_webhook(tx: Transaction) -> None:
    if webhook_kinds(tx) is None:
        raise Conflict("the webhook is switched off; give it a url and switch it on", field="enabled")


def _enqueue_delivery(tx: Transaction) -> None:
    tx.session.flush()
    tx.enqueue(catalogue.SEND_WEBHOOK, "platform", project_id=None)


def _state(row: WebhookDelivery) -> str:
    return "waiting" if row.next_at else "delivered" if row.delivered_at else "given_up"


def _view(row: WebhookDelivery, outlook: _Outlook) -> DeliveryView:
    body, silence = json.loads(row.body), outlook.silence
    state = _state(row)
    error, next_at = row.error, None if row.next_at is None else _due_at(row, silence)
    if silence is not None and next_at == silence.until:
        error = error or silence.reason
    elif next_at is not None and next_at <= outlook.now and row.id != outlook.first_id:
        error = error or OTHERS_FIRST
    finished_at = None if row.next_at else row.delivered_at or row.given_up_at
    return DeliveryView(
        row.id, row.kind, state, body["text"], body["data"].get("link"), row.project_id, row.attempts, row.last_status,
        row.last_answer, error, row.created_at, next_at, finished_at,
    )  # fmt: skip
