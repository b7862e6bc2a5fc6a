"""The result of one check of `aiworker doctor`: one line of its output."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """status: `ok`, `fail`, or `warn` (it works with a defect, can't be checked, or will work once the platform runs).

    part: the part of the platform, one word. says: what was found and, unless ok, the remedy; never a secret.
    """

    status: str
    part: str
    says: str
