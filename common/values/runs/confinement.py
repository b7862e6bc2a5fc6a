"""Whether programs of repositories run in a sandbox."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Confinement:
    """says: a sentence without a full stop: how they are confined, or why they are not and what to do about it."""

    is_confining: bool
    says: str
