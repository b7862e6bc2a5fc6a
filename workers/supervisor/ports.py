"""Finds free ports on this machine.

The ports are below the kernel's ephemeral range (32768 and up), so no outgoing connection takes an app's stored port
while the supervisor is not running.
"""

from __future__ import annotations

import random
import socket

FIRST, LAST = 20000, 29999


class NoFreePort(Exception):
    """None of 200 tried ports was free."""


class Ports:
    """Allocates free ports; never the same port twice at a time."""

    def __init__(self) -> None:
        self._out: set[int] = set()
        self._random = random.SystemRandom()

    def take(self, host: str, wanted: int | None = None) -> int:
        """Return `wanted` if it is free, else any free port. Release it with `free`. Raises NoFreePort."""
        for port in ([wanted] if wanted else []) + self._random.sample(range(FIRST, LAST + 1), 200):
            if port not in self._out and _is_free(host, port):
                self._out.add(port)
                return port
        raise NoFreePort(f"no free port from {FIRST} to {LAST} on {host}")

    def free(self, port: int) -> None:
        self._out.discard(port)


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, port))
            attempt.listen(1)
        except OSError:
            return False
        return True
