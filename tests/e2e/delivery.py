"""Following a delivery from outside: the default branch's every commit, a page's every answer, and what a killed
platform leaves on the machine."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import psutil
import requests

from common.machine.children import PARENT_DEATH_COMMAND
from tests.e2e.instance import ROOT, Instance, wait_until
from tests.e2e.story import Story
from tests.patience import PATIENCE_SECONDS
from tests.processes import lives, words

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


class Repeated:
    """Does one thing again and again beside the test, `pause_seconds` apart, until its context ends.

    What breaks there is raised at the context's end.
    """

    def __init__(self, act: Callable[[], None], pause_seconds: float = 0.1) -> None:
        self._act = act
        self._pause_seconds = pause_seconds
        self._done = threading.Event()
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join(PATIENCE_SECONDS)
        if kind is None and self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        try:
            while not self._done.wait(self._pause_seconds):
                self._act()
        except (AssertionError, requests.RequestException) as error:
            self._problem = error


class DefaultBranch:
    """Where the default branch is, asked as git asks. seen: every commit that it was at, in order."""

    def __init__(self, story: Story) -> None:
        path = urlsplit(story.project["giteaRepoUrl"]).path
        self._url = f"{story.instance.url}{path}.git/info/refs?service=git-upload-pack"
        self._session = requests.Session()
        self._session.auth = ("x", story.api.token)
        self._one_at_a_time = threading.Lock()
        self.seen: list[str] = []

    def look(self) -> str:
        with self._one_at_a_time:
            return self._look()

    def _look(self) -> str:
        reply = self._session.get(self._url, timeout=PATIENCE_SECONDS)
        assert reply.status_code == 200, f"{self._url} answers {reply.status_code}"
        found = re.search(r"([0-9a-f]{40}) refs/heads/main\n", reply.text)
        assert found, f"there is no main in {reply.text!r}"
        if self.seen[-1:] != [found[1]]:
            self.seen.append(found[1])
        return found[1]


class Visitor:
    """Asks one page over connections of its own. answers: (status, body) in order; status 0 where none came."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.answers: list[tuple[int, str]] = []

    def ask(self) -> None:
        try:
            reply = requests.get(self._url, timeout=PATIENCE_SECONDS)
            self.answers.append((reply.status_code, reply.text.strip()))
        except requests.RequestException as error:
            self.answers.append((0, str(error)))


def seconds_between(earlier: dict[str, Any], later: dict[str, Any]) -> float:
    """By the stamps of two events."""
    return (datetime.fromisoformat(later["at"]) - datetime.fromisoformat(earlier["at"])).total_seconds()


class Traces:
    """What an instance has on this machine, as the operating system tells it. `runtime`: its local runtime's files."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self.runtime = instance.folder / "data" / "runtime"

    def freeze(self) -> None:
        """Stop the process that starts the others again, and leave it there."""
        self._instance.family()[0].suspend()

    def kill(self, *programs: str) -> None:
        """kill -9 of every process of it that has one of these as its name or among its arguments."""
        doomed = [process for process in self.processes() if not set(programs).isdisjoint(words(process))]
        assert len(doomed) >= len(programs), doomed
        for process in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        # Frozen, their parent can't collect them: they stay as zombies.
        wait_until("their end", lambda: not any(lives(process.pid) for process in doomed))

    def processes(self) -> list[psutil.Process]:
        """The living ones that it started, and all others that run in its folder or name it in their arguments."""
        started = self._instance.family()
        found = [process for process in psutil.process_iter() if process in started or self._is_named_by(process)]
        return [process for process in found if lives(process.pid)]

    def orphans(self) -> list[psutil.Process]:
        """Those that are nobody's any more."""
        found = self.processes()
        # Looked for last: what has just been started is ours, too.
        ours = set(psutil.Process().children(recursive=True))
        return [process for process in found if process not in ours and lives(process.pid)]

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
