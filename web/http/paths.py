"""Paths with control characters or broken UTF-8 are refused: no resource has such a name.

Checked once, before every view: a part of a path may end up in a header (a redirect), a log line or a program's
environment, and no view has to check it again.
"""

from __future__ import annotations

import re

from common.errors import NotFound
from common.machine.text import has_control

_BROKEN = re.compile("[\ud800-\udfff\ufffd]")
"""Halves of surrogate pairs, and the character that replaces bytes that are not UTF-8 when a path is decoded."""


def require_plain(path: str) -> None:
    """Raise NotFound for a decoded path that no resource can have."""
    if has_control(path) or _BROKEN.search(path):
        raise NotFound("a path with control characters")
