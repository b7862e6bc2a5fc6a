"""A default branch whose own tests fail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RedBase:
    """commit_sha: its head. since: when a red head was first found, as the API writes times. reason: why they fail.

    tests: names of those that fail; empty: nothing names them. log: the end of the output, masked.
    """

    commit_sha: str
    since: str
    reason: str
    tests: tuple[str, ...] = ()
    log: str = ""
