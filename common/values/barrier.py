"""What a deployed version declares about going back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Barrier:
    """No rollback past the version that declares this leads to one of the blocked commits. reason: why, in words."""

    reason: str
    blocked: tuple[str, ...]
