"""Ten runs at once on one machine: nothing crosses from one to another, and nothing stays behind.

`python -m tests.soak.many_runs --seconds 600`. Each run leaves what it can and looks for what the others left
(tests/soak/probe.py). It needs the sandbox: without it runs share a loopback, /tmp and the list of processes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from common.machine.programs.bubblewrap import find_sandbox
from tests.e2e.delivery import Traces, agent, listening
from tests.e2e.instance import running, wait_until
from tests.e2e.origin import served_repository
from tests.e2e.story import Story
from tests.soak.probe import TOKEN

PROBE = Path(__file__).with_name("probe.py")
PROBE_SECONDS = 8
END_SECONDS = 300
"""How long the last runs and what they started may take to be gone. No measure: a limit for what has failed."""
OVER = ("failed", "needs_input", "cancelled")


@dataclass(frozen=True)
class Left:
    """What an instance has on this machine. Compared before the first run and after the last."""

    processes: Counter[str]
    ports: int
    mounts: tuple[str, ...]
    entries: frozenset[str]

    def more_than(self, before: Left) -> list[str]:
        """What was not there before, in words."""
        more = [f"{number} × {command}" for command, number in (self.processes - before.processes).items()]
        more += [f"mount: {line}" for line in self.mounts if line not in before.mounts]
        more += [f"entry: {path}" for path in sorted(self.entries - before.entries)]
        return more + ([f"{self.ports - before.ports} more ports"] if self.ports > before.ports else [])


class Instance:
    """What can be seen of the instance from outside."""

    def __init__(self, story: Story, folder: Path) -> None:
        self._traces = Traces(story.instance)
        self._folder = folder

    def look(self) -> Left:
        processes = self._traces.processes()
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        places = ("tmp", "agent/*", "data/runtime/*", "data/runtime/checks/*", "data/runtime/apps/*/*/versions")
        watched = [path for place in places for path in self._folder.glob(place)]
        return Left(
            processes=Counter(filter(None, map(_command, processes))),
            ports=sum(map(_ports, processes)),
            mounts=tuple(line for line in mounts if str(self._folder) in line),
            entries=frozenset(str(path) for place in watched if place.is_dir() for path in place.iterdir()),
        )


def _command(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline()).strip()
    return ""


def _ports(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return len(listening(process))
    return 0


class Runs:
    """Tasks under way. done: how many were checked. most: how many agents' runs were seen at work at once."""

    def __init__(self, story: Story) -> None:
        self.done = 0
        self.most = 0
        self._story = story
        self._tokens: dict[str, str] = {}
        self._number = 0

    @property
    def under_way(self) -> int:
        return len(self._tokens)

    def begin(self) -> None:
        self._number += 1
        token = f"many-runs-{self._number}-{secrets.token_hex(8)}"
        steps = (
            {"write": {"path": "probe.py", "content": PROBE.read_text(encoding="utf-8")}},
            {"write": {"path": f"own-{self._number}.txt", "content": token}},
            {"run": f"python3 probe.py {token} {PROBE_SECONDS}"},
            {"run": "git add --all && git commit --quiet --message 'Leave a token'"},
        )
        listed = "\n".join(f"- {json.dumps(step)}" for step in steps)
        task_id = self._story.write_task(f"Run {self._number}", f"```steps\n{listed}\n```\n")
        self._tokens[task_id] = token

    def look(self) -> None:
        """Check and cancel what is ready. AssertionError: a run failed, or has what another one wrote."""
        working = 0
        for task_id, token in list(self._tokens.items()):
            task = self._story.api.get(f"/tasks/{task_id}")["task"]
            assert task["state"] not in OVER, (task["state"], task["error"], self._said(task))
            working += task["state"] == "in_progress" and task["phase"] == "working"
            if task["state"] == "ready_to_test":
                changed = self._story.api.get(f"/tasks/{task_id}/diff")
                number = token.split("-")[2]
                assert {file["path"] for file in changed["files"]} == {"probe.py", f"own-{number}.txt"}, changed
                assert set(TOKEN.findall(json.dumps(changed).encode())) == {token.encode()}, changed
                self._story.api.post(f"/tasks/{task_id}/cancel")
                del self._tokens[task_id]
                self.done += 1
        self.most = max(self.most, working)

    def _said(self, task: Any) -> list[str]:
        run = task["runs"][-1]["id"]
        entries = self._story.api.get(f"/runs/{run}/transcript?limit=500")["entries"]
        return [entry["message"] for entry in entries][-20:]


def soak(seconds: float, slots: int, folder: Path) -> None:
    """AssertionError says what crossed, failed or stayed behind."""
    (folder / "tmp").mkdir()
    with (
        served_repository(folder) as origin,
        running(
            folder,
            AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc,
            AIWORKER_AGENTS="0",
            AIWORKER_SANDBOX="required",
            AIWORKER_WRITES_PER_MINUTE="100000",
            TMPDIR=str(folder / "tmp"),
        ) as instance,
    ):
        story = Story(instance, origin, quiet=True)
        story.log_in()
        story.import_project(testCommand=None)
        with agent(story, folder, slots=slots):
            seen, runs = Instance(story, folder), Runs(story)
            # What a program makes at its first work and keeps is no trace of a run: so one run comes before.
            runs.begin()
            wait_until("the first run to be over", lambda: runs.look() is None and not runs.under_way, END_SECONDS)
            wait_until("its preview to be gone", lambda: not Traces(instance).deployed(), END_SECONDS)
            before = seen.look()
            began = time.monotonic()
            while time.monotonic() - began < seconds:
                while runs.under_way < slots:
                    runs.begin()
                runs.look()
                time.sleep(0.5)
            took = time.monotonic() - began
            wait_until("the last runs to be over", lambda: runs.look() is None and not runs.under_way, END_SECONDS)
            after: list[Left] = []
            with contextlib.suppress(AssertionError):
                wait_until("all to be gone", lambda: not _appended(after, seen.look()).more_than(before), END_SECONDS)
            left = after[-1].more_than(before)
            assert not left, "\n".join(["these stayed behind:", *left])
        story.close()
    rate = runs.done / took * 60
    print(
        f"{runs.done} runs in {took:.0f} s, {rate:.1f} a minute, {runs.most} at once: nothing crossed or stayed behind"
    )


def _appended(looks: list[Left], look: Left) -> Left:
    looks.append(look)
    return look


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.many_runs", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--slots", type=int, default=10)
    chosen = parser.parse_args()
    finding = find_sandbox()
    if not finding.is_confining:
        print(f"This machine can't confine runs, so they see each other: {finding.says}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="aiw-many-") as name:
        soak(chosen.seconds, chosen.slots, Path(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
