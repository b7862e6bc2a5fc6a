"""What the server tells of itself, and what a token of few scopes may do there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_CATEGORIES = (
    (r"/admin/", "admin"),
    (r"/orgs(/|$)", "organization"),
    (r"/repos/[^/]+/[^/]+/issues(/|$)", "issue"),
    (r"/(repos/|user/repos)", "repository"),
    (r"/users?(/|$)", "user"),
)


@dataclass
class Access:
    """scopes: the tokens'; None means all. `write:x` holds `read:x`. date: what the server says that the time is;
    None means the time.
    takes_passwords: whether a user's password is good for programs, or a token only (ENABLE_BASIC_AUTHENTICATION).
    """

    scopes: set[str] | None = None
    date: str | None = None
    takes_passwords: bool = True

    def refusal(self, method: str, path: str) -> tuple[int, Any] | None:
        """The answer to who lacks a scope, given before anything is looked for; None where it does not lack."""
        category = next((name for pattern, name in _CATEGORIES if re.match(pattern, path)), None)
        if self.scopes is None or category is None:
            return None
        needed = f"{'read' if method == 'GET' else 'write'}:{category}"
        if self.scopes & {needed, f"write:{category}"}:
            return None
        has = ",".join(sorted(self.scopes))
        message = f"token does not have at least one of required scope(s), required=[{needed}], token scope={has}"
        return 403, {"message": message}
