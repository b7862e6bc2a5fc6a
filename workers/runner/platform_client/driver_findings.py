"""What an agent finds out about a driver on its machine, as it registers it and as people read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DriverFinding:
    """name: the driver's. can_work: whether runs may be given to it. version: of its program; None if there is none.

    executable: the program's path; empty if there is none. says: one sentence: what is there, or what is missing and
    how to get it.
    """

    name: str
    can_work: bool
    says: str
    version: str | None = None
    executable: str = ""
