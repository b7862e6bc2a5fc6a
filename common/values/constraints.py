"""Types with a constraint, such as a name or a port. Only `json_codec.decode` checks them, for input from outside.

Constructors do not check, so that copying a valid value costs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class Matches:
    """The whole text matches the pattern. what: completes `it is not …`. is_secret: messages do not quote the text."""

    pattern: re.Pattern[str]
    what: str
    is_secret: bool = False

    def problem(self, value: object) -> str | None:
        """Why the value is not allowed; None if it is."""
        if isinstance(value, str) and self.pattern.fullmatch(value):
            return None
        return f"it is not {self.what}" if self.is_secret else f"{str(value)[:100]!r} is not {self.what}"


@dataclass(frozen=True)
class Between:
    """The number is at least `least` and at most `most`."""

    least: float
    most: float

    def problem(self, value: object) -> str | None:
        """Why the value is not allowed; None if it is."""
        if isinstance(value, int | float) and self.least <= value <= self.most:
            return None
        return f"{value} is not a number from {self.least:g} to {self.most:g}"


def _matching(pattern: str, what: str, *, is_secret: bool = False) -> Matches:
    return Matches(re.compile(pattern, re.DOTALL), what, is_secret)


Name = Annotated[str, _matching(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "a name (RFC 1123 label)")]
Identity = Annotated[str, _matching(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}", "an id")]
"""Safe as a file name: it can't lead to another directory."""
Commit = Annotated[str, _matching(r"[0-9a-f]{40}", "a full commit SHA")]
Text = Annotated[str, _matching(r"[^\0]*", "text without NUL", is_secret=True)]
Command = Annotated[str, _matching(r"[^\0]+", "a command", is_secret=True)]
VariableName = Annotated[str, _matching(r"[A-Za-z_][A-Za-z0-9_]*", "a variable's name")]
UrlPath = Annotated[str, _matching(r"/[!-~]*", "a path that starts with / and has no spaces")]
CloneUrl = Annotated[
    str,
    _matching(
        r"(?:/|file://|https?://)[^\0-\x1f\x7f]*", "an absolute path or an http, https or file address", is_secret=True
    ),
]
Quantity = Annotated[str, _matching(r"(?:[0-9]+(?:\.[0-9]+)?(?:m|[kKMGTPE]|[KMGTPE]i)?)?", "a quantity such as 512Mi")]
Port = Annotated[int, Between(1, 65535)]
Amount = Annotated[float, Between(0, 10**7)]
Count = Annotated[int, Between(0, 10**7)]
