"""One line of a program's output."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LogLine:
    """at: when it was written, in ISO 8601, UTC with `Z`; None for a line that an older AiWorker kept."""

    at: str | None
    text: str
