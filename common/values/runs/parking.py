"""Why a task is parked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Parked(StrEnum):
    """Why a task is parked."""

    LIMIT = "limit"
    """The provider of models refuses calls for a while."""
    CAP = "cap"
    """A cap of spending is reached. A day's cap leaves room again on the next day; a person may raise any."""
    FILES = "files"
    """Its files are still being added, so it has not begun: the only reason for a task in the backlog."""


@dataclass(frozen=True)
class Parking:
    """Why and until when a task is parked. reason: for people. until: aware UTC; None: until the reason is gone."""

    code: str
    reason: str
    until: datetime | None
