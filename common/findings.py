"""What somebody who looked found: one line of `aiworker doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """status: ok; warn: it works, or can't be seen, or would work once the platform is up; fail: it can't.

    part: whose line it is, one word. says: what was seen and, where it is not ok, the remedy; never a secret.
    """

    status: str
    part: str
    says: str
