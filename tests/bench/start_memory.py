"""Measures starting: the command, the platform until its first answer, and what its processes keep in memory."""

from __future__ import annotations

import contextlib
import http.client
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from tests.bench.figures import Figure, Found
from tests.e2e.instance import ROOT, Instance

START_SECONDS = 60
SETTLING_SECONDS = 20
"""From the first answer until memory is read: the sweeps have run several times by then."""


def figures(times: int = 5) -> Iterator[Found]:
    """Each figure with its name. times: how often each is measured."""
    yield from _command(max(times, 5))
    yield from _platform(max(times, 5))


def _command(times: int) -> Iterator[Found]:
    """In turn with bare Python, so that what else the machine does is in both."""
    above: list[float] = []
    for _ in range(times + 1):
        bare = _cpu_ms([sys.executable, "-c", ""])
        above.append(_cpu_ms([sys.executable, "-m", "web.cli", "--help"]) - bare)
    # The first round compiles and fills caches.
    yield _figure("Start: CPU of `aiworker --help` over bare Python", above[1:], "ms", "≤ 150")


def _cpu_ms(command: Sequence[str]) -> float:
    """The processor's time that a command takes, with its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def _platform(times: int) -> Iterator[Found]:
    """Warm starts of one platform; its memory is read in each."""
    seconds, processes, totals = list[float](), list[float](), list[float]()
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder:
        instance = Instance(Path(folder))
        try:
            instance.start()
            instance.stop()
            for _ in range(times):
                seconds.append(_first_answer(instance))
                time.sleep(SETTLING_SECONDS)
                memory = _memory(instance.family())
                processes.append(len(memory))
                totals.append(sum(memory))
                instance.stop()
        finally:
            instance.kill()
    yield _figure("Start: `aiworker up`, warm, to the first answer", seconds, "s", "≤ 1.5")
    yield _figure("Start: processes of an idle platform", processes, "processes", "≤ 9")
    yield _figure("Start: memory of an idle platform (PSS)", totals, "MB", "≤ 320")


def _first_answer(instance: Instance) -> float:
    """Start the platform. The seconds from there to the first answer over HTTP."""
    began = time.perf_counter()
    instance.launch()
    while time.perf_counter() < began + START_SECONDS:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=START_SECONDS)
            connection.request("GET", "/api/health/live")
            if connection.getresponse().status == 200:
                return time.perf_counter() - began
        time.sleep(0.005)
    raise AssertionError(instance.said())


def _memory(family: Sequence[psutil.Process]) -> list[float]:
    """The proportional set size of each process, in MB of 2**20 bytes."""
    found: list[float] = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            kibibytes = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            found.append(kibibytes / 1024)
    return found


def _figure(what: str, taken: Sequence[float], unit: str, goal: str | None = None) -> Figure:
    return Figure(what, taken, unit, goal=goal, note=f"{min(taken):.3g} to {max(taken):.3g}")
