"""The parts of the benchmark, each measured in a process of its own.

So a part may set the environment, which settings are read from, and one that fails or hangs does not stop the others.
"""

from __future__ import annotations

import importlib
import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from tests.bench.figures import Found

MODULES = {
    "start": "start_memory",
    "api": "api",
    "grow": "grow",
    "ws": "ws",
    "queue": "queue",
    "schedule": "schedule",
    "handover": "handover",
    "page": "page",
    "failover": "failover",
}
_ARGUMENTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "page": lambda _times: {},
}
"""What `figures` of a module takes, from the number of rounds. A module that is not named takes `times`."""
PART_SECONDS = 3600
"""After this a part hangs."""


@dataclass(frozen=True)
class Failed:
    """A part ended early. why: one line. details: its traceback."""

    why: str
    details: str = ""


def figures_of(name: str, times: int) -> Iterable[Found]:
    """What the module of the part yields, measured in this process."""
    module: Any = importlib.import_module(f"tests.bench.{MODULES[name]}")
    found: Iterable[Found] = module.figures(**_ARGUMENTS.get(name, lambda rounds: {"times": rounds})(times))
    return found


def measure(
    name: str, times: int, *, figures: Callable[[str, int], Iterable[Found]] = figures_of, seconds: float = PART_SECONDS
) -> Iterator[Found | Failed]:
    """What a part yields, as it comes; a Failed is the last if it does not come to its end within these seconds."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(figures, name, times, sending), name=name)
    process.start()
    sending.close()
    deadline = time.monotonic() + seconds
    try:
        while True:
            ready = wait([receiving, process.sentinel], timeout=max(0.0, deadline - time.monotonic()))
            if not ready:
                yield Failed(f"it took more than {seconds:g} s")
                return
            try:
                found = receiving.recv() if receiving.poll() else Failed(_ended(process))
            except EOFError:
                found = Failed(_ended(process))
            if found is None:
                return
            yield found
            if isinstance(found, Failed):
                return
    finally:
        receiving.close()
        process.terminate()
        process.join()


def _ended(process: Any) -> str:
    process.join()
    return f"its process ended with {process.exitcode}"


def _send(figures: Callable[[str, int], Iterable[Found]], name: str, times: int, sending: Connection) -> None:
    try:
        for found in figures(name, times):
            sending.send(found)
    except Exception as error:  # noqa: BLE001 (whatever it is, the other parts go on, and the table says it)
        sending.send(Failed(f"{type(error).__name__}: {error}".splitlines()[0][:300], traceback.format_exc()))
    else:
        sending.send(None)
