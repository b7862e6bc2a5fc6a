"""Feeds and their events, jobs, idempotency keys, and the marks that processes share."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, LargeBinary, SmallInteger, String, UnicodeText
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from common.models.base import TABLE_OPTIONS, Base, HasId, HasState, LongText
from common.values.states import JOB_EDGES, JobState


class Feed(Base):
    """One per project, `platform` and `administration`. seq: the number of its newest event.

    No foreign key refers to it: inserts would share-lock the row, and raising its counter would then deadlock.
    """

    __tablename__ = "feeds"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, default=0)


class EventRow(Base):
    """An event. data: the JSON text that was sent to clients, byte for byte. seq: has no gaps within a feed.

    Rows never change, not by a migration either: the audit's seals hold a digest of every column.
    """

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_task", "task_id", "seq"), Index("ix_events_at", "at"), TABLE_OPTIONS)

    feed_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(40))
    task_id: Mapped[str | None] = mapped_column(String(40))
    data: Mapped[str] = mapped_column(LongText)
    actor: Mapped[str] = mapped_column(String(140))
    request_id: Mapped[str | None] = mapped_column(String(100))
    at: Mapped[datetime]


class AuditSeal(Base):
    """A range of a feed's events, signed, so that none of them can be changed or left out unnoticed.

    number: from 1 in each feed, without gaps. kind: `range`: first_seq to last_seq (both inclusive) are as they were
    when it was made; `purge`: the events up to last_seq were deleted, for their age or because the project is being
    deleted. envelope: see common/secrets/envelopes.py. digest: SHA-256 of the envelope, by which the next seal names
    it.
    """

    __tablename__ = "audit_seals"

    feed_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(8))
    first_seq: Mapped[int] = mapped_column(BigInteger)
    last_seq: Mapped[int] = mapped_column(BigInteger)
    envelope: Mapped[str] = mapped_column(LongText)
    digest: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


class Job(HasId, HasState[JobState], Base):
    """A job. live_key: `kind:subject` while queued or running, else NULL; unique, so each has at most one live row.

    generation: raised by every enqueue; if it rises while the job runs, the job runs again. fence: raised by every
    claim; writes of an older claim are refused. attempts: counted at the claim, so a job that kills its process is
    counted. waits: waits in a row. unavailable_since: since when it waits for a provider. waits_for: `access` if the
    provider denies our account access, `key` if the secret key does not open what it needs. trace_parent: the
    traceparent of the request or job that first enqueued it.
    """

    __tablename__ = "jobs"
    lock_rank = 7
    edges = JOB_EDGES
    state_type = JobState
    thing = "job"
    __table_args__ = (
        Index("ix_jobs_due", "state", "next_at"),
        Index("ix_jobs_created", "created_at", "id"),
        Index("ix_jobs_state_created", "state", "created_at", "id"),
        Index("ix_jobs_kind_created", "kind", "created_at", "id"),
        Index("ix_jobs_project_created", "project_id", "created_at", "id"),
        Index("ix_jobs_ended", "state", "finished_at"),
        Index("ix_jobs_subject", "subject_id", "state", "finished_at"),
        TABLE_OPTIONS,
    )

    kind: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[str] = mapped_column(String(40))
    project_id: Mapped[str | None] = mapped_column(String(40))
    live_key: Mapped[str | None] = mapped_column(String(100), unique=True)
    state_: Mapped[str] = mapped_column("state", String(16))
    generation: Mapped[int] = mapped_column(default=1)
    next_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_until: Mapped[datetime | None]
    waits: Mapped[int] = mapped_column(default=0)
    unavailable_since: Mapped[datetime | None]
    waits_for: Mapped[str | None] = mapped_column(String(20))
    progress_done: Mapped[int | None]
    progress_total: Mapped[int | None]
    progress_message: Mapped[str | None] = mapped_column(String(500))
    error: Mapped[str | None] = mapped_column(UnicodeText)
    trace_parent: Mapped[str | None] = mapped_column(String(55))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """The answer to the first request with a key. body: sealed. status: 0 while the first request is under way.

    grants: the access that the first request needed (services.access.Grants); None: it needed none.
    """

    __tablename__ = "idempotency_keys"

    caller: Mapped[str] = mapped_column(String(60), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    route: Mapped[str] = mapped_column(String(255))
    body_digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int] = mapped_column(SmallInteger)
    body: Mapped[bytes] = mapped_column(LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb"))
    grants: Mapped[dict[str, int] | None]
    created_at: Mapped[datetime] = mapped_column(index=True)


class Mark(Base):
    """A named moment or small value that processes share, such as when the sweep last ran."""

    __tablename__ = "marks"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    at: Mapped[datetime]
    value: Mapped[dict[str, object]]
