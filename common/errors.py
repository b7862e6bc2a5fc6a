"""The three families of errors.

Errors of the caller (answered with a 4xx); errors of the outside world (tried again, or one row fails); and everything
else, which is a bug and is never caught. Messages name the object and its id, and never contain a secret.
"""

from __future__ import annotations

import errno
from collections.abc import Callable


class CallerError(Exception):
    """Base of errors that the caller made. Nothing has been written when it is raised."""


class Invalid(CallerError):
    """A value is wrong (400). `field` is its name in the request, with dots for a nested field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Unauthenticated(CallerError):
    """There is no token, or it is no longer valid (401)."""

    def __init__(self, message: str = "Invalid or expired token") -> None:
        super().__init__(message)
        self.message = message


class Forbidden(CallerError):
    """The caller may see the object but may not do this to it (403)."""


class NotFound(CallerError):
    """The object does not exist, or the caller may not see it (404): the answer is the same."""


class Conflict(CallerError):
    """The object's present state does not allow this (409). The message names that state.

    follow_up: a service call that the conflict makes necessary, made in its own transaction after the request's was
    rolled back. None: there is nothing to do.
    """

    def __init__(self, message: str, *, field: str = "state", follow_up: Callable[[], object] | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.message = message
        self.follow_up = follow_up


class IllegalTransition(Conflict):
    """There is no edge for this state change, or none that this actor may take."""


class KeyReused(CallerError):
    """An Idempotency-Key was used again with another body (422)."""


class Busy(Exception):
    """The database could not be reached or locked in time (503). Nothing was written; the request may be sent again.

    If `field` is set, the reply's details contain it and the message.
    """

    field: str | None = None


class DatabaseAway(Busy):
    """The database can't be reached at all (503)."""


class DiskFull(Busy):
    """The disk is full (503). Nothing was written."""

    field = "disk"

    def __init__(self) -> None:
        super().__init__("the disk is full, so nothing can be written; make room on the platform's or database's disk")


class CommitUnknown(Busy):
    """The answer to COMMIT was lost (503): whether the change was made is unknown.

    The request may be sent again without looking first only with the same Idempotency-Key. A job continues from its
    row, guarded by the fence: either the change was recorded and the worker has lost the job, or the job runs again.
    """

    field = "commit"

    def __init__(self) -> None:
        super().__init__(
            "the database's answer to COMMIT was lost, so the change may have been made; send the request again with "
            "its Idempotency-Key, or look before repeating it"
        )


class LeaseLost(Exception):
    """Another worker has claimed the job, or it is over. This worker's transaction is rolled back."""


class ProviderUnavailable(Exception):
    """A provider did not answer, or can't do this now. The same call may be made again later.

    retry_after_seconds: the pause that the other side asked for. None: the caller's own back-off applies.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class CutShort(ProviderUnavailable):
    """A step that the platform itself runs was ended too early: by its time limit, a signal, or a full disk.

    This says nothing about the input of the step. It may succeed later, but each attempt costs as much as the last
    one, so there are at most MOST_RETRIES, with pauses. retry_after_seconds: how long the attempt took.
    """


MOST_RETRIES = 3
"""How often a step that was cut short is tried again."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Codes of an OSError that mean that the machine has no disk space, file descriptors or memory left."""


class AccessDenied(ProviderUnavailable):
    """A provider denies our account access. An API server that is starting denies it to everybody, so only a lasting
    denial is final. Work that waits for access continues once it is back.

    is_granted: the other side's own access review allows the call, so something other than our rights prevents it.
    """

    def __init__(self, message: str, *, is_granted: bool = False) -> None:
        super().__init__(message)
        self.is_granted = is_granted


class ProviderRefused(Exception):
    """A provider refused, and would refuse again. `code` is stable; the message is for a person."""

    def __init__(self, message: str, *, code: str = "refused") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Misconfigured(Exception):
    """A setting, program or server is missing or wrong. The message is one line that names it and the remedy."""


class AnotherKey(Misconfigured):
    """A stored value was sealed with another secret key (503). Nothing was written. A job waits for the earlier key."""

    field = "secretKey"

    def __init__(self) -> None:
        super().__init__(
            "stored secrets were sealed with another AIWORKER_SECRET_KEY; the operator has to set that one: "
            "aiworker doctor says how"
        )
