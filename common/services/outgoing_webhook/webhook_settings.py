"""The outgoing webhook's settings: administrators change them while the platform runs. Its secret is sealed."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import structlog
from sqlalchemy import delete, select, update

from common.database import engines
from common.errors import Conflict, Invalid
from common.events.catalogue import SettingsChanged
from common.jobs import catalogue
from common.jobs.outbox import actor
from common.models.journal import Feed
from common.models.spend import PlatformSetting
from common.models.webhook import WebhookDelivery, WebhookPosition
from common.secrets.sealing import seal, unseal
from common.services.outgoing_webhook.receiver_health import note_answer
from common.services.requests.access import Caller
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.delivery.notice import CHOSEN
from common.values.states import Role

log = structlog.get_logger()

WEBHOOK = "webhook"
"""The name of its row among the platform's settings."""
SECRET_PREFIX = "whsec_"  # noqa: S105 (a prefix, not a secret)
LEAST_SECRET_BYTES, MOST_SECRET_BYTES = 24, 64
"""Of the Standard Webhooks specification."""


@dataclass(frozen=True)
class WebhookView:
    """The settings without the secret. url: None: there is no webhook. kinds: what it tells of. changed_by,
    changed_at: None if they were never set.
    """

    url: str | None = None
    enabled: bool = False
    kinds: Sequence[str] = CHOSEN
    has_secret: bool = False
    changed_by: str | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True)
class OpenWebhook:
    """A webhook that is switched on, with its secret."""

    url: str
    secret: str = field(repr=False)


def read_webhook(*, by: Caller) -> WebhookView:
    by.require(Role.ADMIN)
    with snapshot() as read:
        row = read.get(PlatformSetting, WEBHOOK)
    return WebhookView() if row is None else _view(row)


@transactional
def update_webhook(tx: Transaction, changes: Mapping[str, object], *, by: Caller) -> WebhookView:
    """Change these fields of `url`, `enabled`, `kinds` and `secret`. The first URL switches the webhook on, and makes a
    secret if none is given. Invalid for a wrong secret; Conflict if it is switched on without a URL.

    A kind that is named several times counts once. A webhook that is switched on begins with what happens from then
    on. What waits is tried at a new address at once.
    """
    by.require(Role.ADMIN)
    row = _locked(tx)
    before = dict(row.value)
    value = {**before, **{name: changes[name] for name in ("url", "enabled") if name in changes}}
    if "kinds" in changes:
        value["kinds"] = list(dict.fromkeys(cast("Sequence[str]", changes["kinds"])))
    if "secret" in changes:
        value["secretSealed"] = seal(_checked(str(changes["secret"])))
    if value.get("url") is None:
        if changes.get("enabled"):
            raise Conflict("the webhook has no url; send one to switch it on", field="enabled")
        value["enabled"] = False
    elif before.get("url") is None and "enabled" not in changes:
        value["enabled"] = True
    if value.get("url") is not None and "secretSealed" not in value:
        value["secretSealed"] = seal(_new_secret())
    if value.get("enabled") and not before.get("enabled"):
        _begin_here(tx)
    _store(tx, row, value)
    if (value.get("url"), value.get("enabled")) != (before.get("url"), before.get("enabled")):
        _look_again(tx)
    log.info("outgoing webhook changed", fields=sorted(changes), by=by.name)
    return _view(row)


@transactional
def replace_secret(tx: Transaction, *, by: Caller) -> tuple[WebhookView, str]:
    """Make a new secret, which signs from the next try on. Returns it: it is not shown again."""
    by.require(Role.ADMIN)
    row = _locked(tx)
    secret = _new_secret()
    _store(tx, row, {**row.value, "secretSealed": seal(secret)})
    log.info("outgoing webhook's secret replaced", by=by.name)
    return _view(row), secret


def open_webhook(at: Snapshot | Transaction) -> OpenWebhook | None:
    """The webhook with its secret; None if there is none or it is switched off."""
    row = _switched_on(at)
    return None if row is None else OpenWebhook(str(row.value["url"]), str(unseal(str(row.value["secretSealed"]))))


def webhook_kinds(at: Snapshot | Transaction) -> frozenset[str] | None:
    """The kinds that the webhook tells of; None if there is none or it is switched off. Opens no secret."""
    row = _switched_on(at)
    return None if row is None else frozenset(_view(row).kinds)


def lock_kinds(tx: Transaction) -> frozenset[str] | None:
    """As `webhook_kinds`, locked until commit: readers of events and changes of the settings wait for each other."""
    tx.session.get(PlatformSetting, WEBHOOK, with_for_update=True)
    return webhook_kinds(tx)


def _switched_on(at: Snapshot | Transaction) -> PlatformSetting | None:
    row = at.session.get(PlatformSetting, WEBHOOK)
    return row if row is not None and row.value.get("enabled") else None


def _locked(tx: Transaction) -> PlatformSetting:
    row = tx.session.get(PlatformSetting, WEBHOOK, with_for_update=True)
    return row or tx.add(PlatformSetting(name=WEBHOOK, value={}, changed_by=actor(), changed_at=tx.now()))


def _store(tx: Transaction, row: PlatformSetting, value: dict[str, object]) -> None:
    names = {"url": "url", "enabled": "enabled", "kinds": "kinds", "secretSealed": "secret"}
    changed = tuple(shown for name, shown in names.items() if row.value.get(name) != value.get(name))
    if changed:
        tx.record(SettingsChanged(what="webhook", change="changed", changed=changed))
    row.value, row.changed_by, row.changed_at = value, actor(), tx.now()
    tx.session.flush()


def _view(row: PlatformSetting) -> WebhookView:
    value = row.value
    kinds = cast("Sequence[str]", value.get("kinds", CHOSEN))
    url = cast("str | None", value.get("url"))
    return WebhookView(
        url, bool(value.get("enabled")), kinds, "secretSealed" in value, row.changed_by, row.changed_at
    )  # fmt: skip


def _begin_here(tx: Transaction) -> None:
    tx.session.execute(delete(WebhookPosition))
    for feed_id, seq in tx.session.execute(select(Feed.id, Feed.seq)).all():
        tx.session.add(WebhookPosition(feed_id=feed_id, seq=seq))
    tx.session.flush()


def _look_again(tx: Transaction) -> None:
    """What waits is tried at the new address, or given up, now."""
    note_answer(tx)
    waiting = update(WebhookDelivery).where(WebhookDelivery.next_at.is_not(None)).values(next_at=tx.now())
    if engines.rows_changed(tx.session, waiting.execution_options(synchronize_session=False)):
        tx.enqueue(catalogue.SEND_WEBHOOK, "platform", project_id=None)


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _checked(secret: str) -> str:
    what = f"Must be {SECRET_PREFIX} and the base64 of {LEAST_SECRET_BYTES} to {MOST_SECRET_BYTES} bytes"
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("secret", what) from error
    if not secret.startswith(SECRET_PREFIX) or not LEAST_SECRET_BYTES <= len(key) <= MOST_SECRET_BYTES:
        raise Invalid("secret", what)
    return secret
