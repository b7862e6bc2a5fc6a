"""What the outgoing webhook tells of, how one message is sent, and how it was answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class NoticeKind(StrEnum):
    """Why a message is sent. All but TEST can be chosen."""

    QUESTION = "question"
    """An agent asked, or nobody has answered for a while."""
    REVIEW = "review"
    """A task is ready to test."""
    FAILED = "failed"
    """A task was given up, because its runs failed or were refused."""
    PARKED = "parked"
    """A task waits: it reached a cap of spending."""
    RELEASE = "release"
    """A group failed or waits on staging for production; a live version fails, or is rolled back by itself; a rollback
    failed."""
    FINISHED = "finished"
    """A group runs in production."""
    BASE_IS_RED = "base_is_red"
    """The tests of a project's default branch fail by themselves."""
    QUARANTINED = "quarantined"
    """A project's rule put a flaky test into quarantine."""
    TEST = "test"
    """An administrator tries the webhook."""


CHOSEN = tuple(kind.value for kind in NoticeKind if kind is not NoticeKind.TEST)


@dataclass(frozen=True)
class Dispatch:
    """One try to deliver a message. secret: `whsec_` and base64. at: when it is sent, aware UTC."""

    delivery_id: str
    url: str
    secret: str = field(repr=False)
    body: bytes
    at: datetime


@dataclass(frozen=True)
class DispatchAnswer:
    """How a try ended. status: the HTTP status; None: there was no answer. said: how the answer's body began.

    error: why it failed, for a person; None: it was accepted. retry_after_seconds: the pause that was asked for.
    """

    status: int | None
    said: str = ""
    error: str | None = None
    retry_after_seconds: float | None = None
