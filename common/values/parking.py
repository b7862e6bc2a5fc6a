"""Why a task is parked."""

from __future__ import annotations

from enum import StrEnum


class Parked(StrEnum):
    """Why a task is parked."""

    LIMIT = "limit"
    """The provider of models refuses calls for a while."""
    CAP = "cap"
    """A cap of spending is reached. A day's cap leaves room again on the next day; a person may raise any."""
