"""Ranges of ports, as settings and options name them: `20000-29999`."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

FORM = re.compile(r"([0-9]{4,5})-([0-9]{4,5})")


@dataclass(frozen=True)
class PortRange:
    """first, last: both belong to it. `str` is what `parse` reads."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> PortRange:
        """Raises ValueError if it is no range of ports that every user may bind: from 1024 to 65535."""
        found = FORM.fullmatch(text.strip())
        first, last = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1024 <= first <= last <= 65535:
            raise ValueError(f"{text} is not a range of ports from 1024 to 65535, such as {APP_PORTS}")
        return cls(first, last)

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


APP_PORTS = PortRange(20000, 29999)
"""Below the kernel's range for outgoing connections (32768 and up), so that none of these takes an app's stored port
while the supervisor is not running.
"""


def why_not_bindable(host: str) -> str | None:
    """Why no program can listen on this address or name of this machine; None if one can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            return error.strerror or str(error)
    return None
