"""Measures what a sandbox adds to the start of a command. `python -m tests.bench.sandbox_start` measures this alone."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.figures import Figure, Found, Missing, shown
from workers.sandbox.sandboxes import Sandboxes
from workers.sandbox.walls import Bounds, Door, Reach, Walls

_PLATFORM = Door("127.0.0.1", 3000, paths=("/gateway/", "/git/"))


def _plain_ms() -> float:
    began = time.perf_counter()
    subprocess.run(["true"], check=True)
    return (time.perf_counter() - began) * 1000


def _enclosed_ms(sandboxes: Sandboxes, folder: Path, walls: Walls, is_only_killed: bool) -> tuple[float, float]:
    """Milliseconds until the command has ended, and until its sandbox is removed, too."""
    began = time.perf_counter()
    enclosed = sandboxes.enclose(["true"], cwd=folder, environ=os.environ, walls=walls, is_only_killed=is_only_killed)
    try:
        process = subprocess.Popen(
            enclosed.argv, cwd=enclosed.cwd, env=enclosed.environ, pass_fds=enclosed.pass_fds, stdin=subprocess.DEVNULL
        )
        enclosed.begin(process.pid)
        if process.wait():
            raise AssertionError(f"true ended with {process.returncode} in a sandbox")
        ended_ms = (time.perf_counter() - began) * 1000
    finally:
        enclosed.close()
    return ended_ms, (time.perf_counter() - began) * 1000


def figures(times: int) -> Iterator[Found]:
    """Each figure with its name."""
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as name:
        folder = Path(name)
        sandboxes = Sandboxes(folder / "sandboxes")
        if not sandboxes.is_confining:
            yield Missing("A sandbox's start", sandboxes.finding.says)
            return
        kinds = {
            "with a proxy and a door": Walls(folder, reach=Reach.PROXY, doors=(_PLATFORM,)),
            "with nothing": Walls(folder, bounds=Bounds(processes=None)),
            "as git's": Walls(folder),
            "with an open network": Walls(folder, reach=Reach.OUTBOUND),
        }
        try:
            for what, walls in kinds.items():
                if walls.reach is Reach.OUTBOUND and not sandboxes.finding.has_outbound:
                    continue
                is_gits = what == "as git's"
                _enclosed_ms(sandboxes, folder, walls, is_gits)
                # In turn, so that what else the machine does is in both.
                pairs = [(_plain_ms(), *_enclosed_ms(sandboxes, folder, walls, is_gits)) for _ in range(times)]
                removing = statistics.median(removed - ended for _, ended, removed in pairs)
                note = (
                    f"{removing:.1f} ms to remove it; `true` alone {statistics.median(one[0] for one in pairs):.1f} ms"
                )
                yield Figure(f"A sandbox's start adds, {what}", [one[1] - one[0] for one in pairs], "ms", note=note)
        finally:
            sandboxes.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=40)
    for found in figures(parser.parse_args().times):
        what, text = shown(found)
        print(f"{what:<58} {text}", flush=True)


if __name__ == "__main__":
    main()
