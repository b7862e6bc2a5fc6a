"""The rollbacks that a deployed version rules out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Barrier:
    """Declared by a version. blocked: the older commits to which it can't be rolled back. reason: a sentence."""

    reason: str
    blocked: tuple[str, ...]
