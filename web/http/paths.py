"""Which paths are answered at all: nothing here has a name with control characters or broken UTF-8 in it.

Asked once, in front of every view: what a path holds may end in a header (a redirect), a log line or a program's
environment, and no view has to remember to look.
"""

from __future__ import annotations

import re

from common.errors import NotFound
from common.machine.text import has_control

_BROKEN = re.compile("[\ud800-\udfff\ufffd]")
"""Halves of surrogate pairs, and what a byte that is no UTF-8 was decoded to."""


def require_plain(path: str) -> None:
    """NotFound for a decoded path that no resource can have."""
    if has_control(path) or _BROKEN.search(path):
        raise NotFound("a path with control characters")
