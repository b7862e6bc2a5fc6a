"""The gateway's own answer to a call that it does not pass on."""

from __future__ import annotations


class Refused(Exception):
    """message: for the person who reads the CLI's output."""

    def __init__(self, status: int, message: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after_seconds = retry_after_seconds
