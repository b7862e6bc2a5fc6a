"""The outgoing webhook: what it has to deliver, and how far it has read the events."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, UnicodeText
from sqlalchemy.orm import Mapped, mapped_column

from common.models.base import TABLE_OPTIONS, Base, HasId, LongText


class WebhookDelivery(HasId, Base):
    """A message to the outgoing webhook. Its id is sent with every try, so that a receiver knows a repeated one.

    kind: a member of `NoticeKind`. body: the JSON text that is sent, byte for byte. next_at: when it is tried next;
    None once it was delivered (delivered_at) or given up (given_up_at). given_up_at: of one that is tried again after
    that, when a person asked for it. last_status: the HTTP status of the last answer; None: there was none.
    last_answer: how that answer began. error: why the last try failed; None: it did not.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_next", "next_at"),
        Index("ix_webhook_deliveries_created", "created_at", "id"),
        TABLE_OPTIONS,
    )

    kind: Mapped[str] = mapped_column(String(16))
    project_id: Mapped[str | None] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(LongText)
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_answer: Mapped[str | None] = mapped_column(UnicodeText)
    error: Mapped[str | None] = mapped_column(UnicodeText)
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]


class WebhookPosition(Base):
    """Up to which event of a feed the webhook has read. A feed without a row is read from its beginning."""

    __tablename__ = "webhook_positions"

    feed_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
