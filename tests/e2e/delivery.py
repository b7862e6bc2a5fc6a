"""Following a delivery from outside: the default branch's every commit, a page's every answer, and what a killed
platform leaves on the machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from common.machine.processes.children import PARENT_DEATH_COMMAND
from tests.e2e.instance import ROOT, Instance, wait_until
from tests.e2e.story import Story
from tests.processes import is_running_process

LISTENING = "0A"
"""The state of such a socket in the kernel's tables."""


@contextlib.contextmanager
def agent(story: Story, folder: Path, *, slots: int) -> Iterator[None]:
    """One more agent, enrolled over the API, that follows scripts in several runs at once."""
    token = folder / "enrolment-token"
    token.write_text(story.api.post("/agents/enrolment-tokens", status=201)["enrolmentToken"]["token"])
    known = story.api.get("/agents")["total"]
    options = {
        "--url": story.instance.url, "--token-file": str(token), "--work-dir": str(folder / "agent"),
        "--driver": "scripted", "--slots": str(slots),
    }  # fmt: skip
    arguments = [part for option in options.items() for part in option]
    with (folder / "agent.log").open("ab") as log:
        process = subprocess.Popen(
            [*PARENT_DEATH_COMMAND, sys.executable, "-m", "workers.runner", *arguments],
            cwd=ROOT,
            env=story.instance.environ,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until("the agent to be there", lambda: story.api.get("/agents")["total"] > known)
        yield
    finally:
        process.kill()
        process.wait()


class Traces:
    """What an instance has on this machine, as the operating system tells it. `runtime`: its local runtime's files."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self.runtime = instance.folder / "data" / "runtime"

    def processes(self) -> list[psutil.Process]:
        """The living ones that it started, and all others that run in its folder or name it in their arguments."""
        started = self._instance.family()
        found = [process for process in psutil.process_iter() if process in started or self._is_named_by(process)]
        return [process for process in found if is_running_process(process.pid)]

    def deployed(self) -> dict[Path, set[int]]:
        """Every checkout in which something runs, with the ports that listen there."""
        found: dict[Path, set[int]] = {}
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                place = Path(process.cwd())
                if place.is_relative_to(self.runtime):
                    found.setdefault(place, set()).update(listening(process))
        return found

    def _is_named_by(self, process: psutil.Process) -> bool:
        folder = str(self._instance.folder)
        with contextlib.suppress(psutil.Error):
            return folder in " ".join([process.cwd(), *process.cmdline()])
        return False


def listening(process: psutil.Process) -> set[int]:
    """The ports on which it listens, in the network that it is in: psutil knows only this process's own."""
    place, found = Path(f"/proc/{process.pid}"), set[int]()
    with contextlib.suppress(OSError):
        held = {os.readlink(descriptor) for descriptor in (place / "fd").iterdir()}
        for table in ("tcp", "tcp6"):
            for line in (place / "net" / table).read_text().splitlines()[1:]:
                address, state, inode = (line.split()[column] for column in (1, 3, 9))
                if state == LISTENING and f"socket:[{inode}]" in held:
                    found.add(int(address.rpartition(":")[2], 16))
    return found
