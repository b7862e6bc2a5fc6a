"""Finds free ports on this machine."""

from __future__ import annotations

import random
import socket

from common.network.port_ranges import PortRange

MOST_TRIED = 200


class NoFreePort(Exception):
    """None of the ports that were tried was free."""


class Ports:
    """Allocates free ports of a range; never the same port twice at a time."""

    def __init__(self, of: PortRange) -> None:
        self._all = of
        self._out: set[int] = set()
        self._random = random.SystemRandom()

    def take(self, host: str, wanted: int | None = None) -> int:
        """Return `wanted` if it is free, else any free port. Release it with `free`. Raises NoFreePort.

        wanted: may be of another range, such as that of an earlier start.
        """
        of = range(self._all.first, self._all.last + 1)
        for port in ([wanted] if wanted else []) + self._random.sample(of, min(len(of), MOST_TRIED)):
            if port not in self._out and _is_free(host, port):
                self._out.add(port)
                return port
        raise NoFreePort(f"no free port in {self._all} on {host}")

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
