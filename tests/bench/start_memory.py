"""Measures starting: the command, the platform until its first answer, and what its processes keep in memory."""

from __future__ import annotations

import contextlib
import http.client
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from tests.bench.figures import Figure, Found
from tests.e2e.instance import ROOT, Instance

START_SECONDS = 60
SETTLING_SECONDS = 20
"""From the first answer until memory is read: the sweeps have run several times by then."""
COMMANDS: Mapping[str, Sequence[str]] = {
    "--version": ("--version",),
    "--help": ("--help",),
    "task list": ("--url", "http://127.0.0.1:9", "--token", "awt_any", "task", "list"),
}
"""The commands; the last one finds no platform, so that only its own work is measured."""


def figures(times: int = 5) -> Iterator[Found]:
    """Each figure with its name. times: how often each is measured."""
    yield from _commands(max(times, 5))
    yield from _platform(max(times, 5))


def _commands(times: int) -> Iterator[Found]:
    """In turn, so that what else the machine does is in all of them."""
    taken: dict[str, list[float]] = {name: [] for name in ("", *COMMANDS)}
    for number in range(times + 1):
        for name, words in {"": None, **COMMANDS}.items():
            milliseconds = _cpu_ms([sys.executable, "-c", ""] if words is None else _command(*words))
            # The first round compiles and fills caches.
            if number:
                taken[name].append(milliseconds)
    bare = taken.pop("")
    yield _figure("Start: CPU of bare Python", bare, "ms")
    for name, all_of_it in taken.items():
        goal = "≤ 150" if name == "--help" else None
        above = [one - base for one, base in zip(all_of_it, bare, strict=True)]
        yield _figure(f"Start: CPU of `aiworker {name}` over bare Python", above, "ms", goal)


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "web.cli", *words]


def _cpu_ms(command: Sequence[str]) -> float:
    """The processor's time that a command takes, with its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def _platform(times: int) -> Iterator[Found]:
    """Warm starts of one platform; its memory is read in each."""
    seconds, cpu, processes, totals = list[float](), list[float](), list[float](), list[float]()
    shares: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder:
        instance = Instance(Path(folder))
        try:
            instance.start()
            instance.stop()
            for _ in range(times):
                seconds.append(_first_answer(instance))
                time.sleep(SETTLING_SECONDS)
                family = instance.family()
                memory = _memory(family)
                cpu.append(_cpu_seconds(family))
                processes.append(len(memory))
                totals.append(sum(memory.values()))
                for name, megabytes in memory.items():
                    shares.setdefault(name, []).append(megabytes)
                instance.stop()
        finally:
            instance.kill()
    yield _figure("Start: `aiworker up`, warm, to the first answer", seconds, "s", "≤ 1.5")
    yield _figure(f"Start: CPU of all processes in the first {SETTLING_SECONDS} s", cpu, "s")
    yield _figure("Start: processes of an idle platform", processes, "processes", "≤ 9")
    yield _figure("Start: memory of an idle platform (PSS)", totals, "MB", "≤ 320")
    for name, megabytes in sorted(shares.items(), key=lambda share: -statistics.median(share[1])):
        yield _figure(f"Start: memory of {name}", megabytes, "MB")


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


def _memory(family: Sequence[psutil.Process]) -> dict[str, float]:
    """The proportional set size of each process by its name, in MB of 2**20 bytes."""
    found: dict[str, float] = {}
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            kibibytes = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            name = _name(process)
            while name in found:
                name += " (another)"
            found[name] = kibibytes / 1024
    return found


def _name(process: psutil.Process) -> str:
    """What people call it: a fork has a name of its own, others are named by what they run."""
    words = process.cmdline()
    if words[-1] == "up" and not process.name().startswith(("python", "aiworker")):
        return process.name()
    if "gunicorn" in words:
        parent = process.parent()
        return "web" if parent is not None and "gunicorn" in parent.cmdline() else "web's master"
    for part in ("workers.supervisor.units.orphan_guard", "workers.supervisor", "workers.runner"):
        if part in words:
            return part
    return "aiworker up" if words[-1] == "up" else os.path.basename(words[0])


def _cpu_seconds(family: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times())
    return total


def _figure(what: str, taken: Sequence[float], unit: str, goal: str | None = None) -> Figure:
    return Figure(what, taken, unit, goal=goal, note=f"{min(taken):.3g} to {max(taken):.3g}")
