"""Ports for the servers that tests start, and for the apps of their supervisors.

They are below those that the kernel chooses, for outgoing connections and servers. So none of these takes a port after
it was chosen, or while its server is stopped. Each process of pytest-xdist has its own, where there are at most six.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
from collections.abc import Iterator

from common.network.port_ranges import PortRange

_PROCESSES = 6
_PER_PROCESS = 1_600
_FIRST_OF_SERVERS, _FIRST_OF_APPS = 10_000, 20_000

_own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES * _PER_PROCESS
APP_PORTS = PortRange(_FIRST_OF_APPS + _own, _FIRST_OF_APPS + _own + _PER_PROCESS - 1)
"""For the apps of a local runtime."""
# Two runs at once, or another program of the tests, begin elsewhere.
_steps = itertools.count(random.randrange(_PER_PROCESS))


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on and that this process has not given for long."""
    for _ in range(_PER_PROCESS):
        port = _FIRST_OF_SERVERS + _own + next(_steps) % _PER_PROCESS
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port on 127.0.0.1 that refuses every connection: it is held, so nobody else gets it, and nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
