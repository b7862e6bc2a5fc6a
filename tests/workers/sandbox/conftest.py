"""Starts commands in real sandboxes, as the runner and the supervisor do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from common.machine.programs.bubblewrap import SandboxFinding
from tests.long_waits import LONG_WAIT_SECONDS
from workers.sandbox.confined_command import Enclosed, Refusal
from workers.sandbox.limits import Bounds, SandboxLimits
from workers.sandbox.sandboxes import Sandboxes

SECONDS = LONG_WAIT_SECONDS


@dataclass
class Started:
    """A running command. `end` waits for it and closes its sandbox."""

    process: subprocess.Popen[str]
    enclosed: Enclosed

    def end(self) -> Ended:
        try:
            output, errors = self.process.communicate(timeout=SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
            bound = self.enclosed.broken_bound
            self.enclosed.close()
        return Ended(self.process.returncode, output, errors, bound)


@dataclass(frozen=True)
class Ended:
    status: int
    output: str
    errors: str
    broken_bound: str | None = None


@dataclass
class Starter:
    """Starts commands of one project in a folder of their own: `home`, `workspace`."""

    sandboxes: Sandboxes
    home: Path
    workspace: Path
    is_only_killed: bool = False
    refusals: list[Refusal] = field(default_factory=list)
    _started: list[Started] = field(default_factory=list)

    def sandbox_limits(self, **more: object) -> SandboxLimits:
        return SandboxLimits(**{"home": self.home, "writable": (self.workspace,), "bounds": Bounds(None, None), **more})  # type: ignore[arg-type]

    def start(
        self, *argv: str, sandbox_limits: SandboxLimits | None = None, needs_dial: bool = False, **environ: str
    ) -> Started:
        enclosed = self.sandboxes.enclose(
            argv,
            cwd=self.workspace,
            environ={"PATH": os.environ["PATH"], "HOME": str(self.home), **environ},
            sandbox_limits=sandbox_limits or self.sandbox_limits(),
            on_refusal=self.refusals.append,
            needs_dial=needs_dial,
            is_only_killed=self.is_only_killed,
        )
        try:
            process = subprocess.Popen(
                enclosed.argv, cwd=enclosed.cwd, env=enclosed.environ, pass_fds=enclosed.pass_fds, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
        except BaseException:
            enclosed.close()
            raise
        enclosed.begin(process.pid)
        self._started.append(Started(process, enclosed))
        return self._started[-1]

    def run(
        self, *argv: str, sandbox_limits: SandboxLimits | None = None, needs_dial: bool = False, **environ: str
    ) -> Ended:
        return self.start(*argv, sandbox_limits=sandbox_limits, needs_dial=needs_dial, **environ).end()

    def python(self, code: str, *arguments: str, sandbox_limits: SandboxLimits | None = None) -> Ended:
        return self.run(sys.executable, "-I", "-c", code, *arguments, sandbox_limits=sandbox_limits)

    def left(self) -> list[str]:
        """What is there of sandboxes that have been closed: files, control groups, mounts, sockets without a file."""
        directory = self.sandboxes.directory
        folders = [*directory.glob("*"), *Path("/sys/fs/cgroup").glob(f"*/aiworker-sandbox-{self.sandboxes._owner}-*")]
        mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(self.workspace) in line]
        return [*map(str, folders), *mounts]

    def close(self) -> None:
        for started in self._started:
            if started.process.poll() is None:
                started.end()
            started.enclosed.close()
        self.sandboxes.close()


@pytest.fixture
def new_starter(confining: SandboxFinding, tmp_path: Path) -> Iterator[Callable[..., Starter]]:
    """Make starters with other arguments of Sandboxes."""
    made: list[Starter] = []

    def make(**arguments: object) -> Starter:
        for name in ("home", "workspace"):
            (tmp_path / name).mkdir(exist_ok=True)
        made.append(
            Starter(Sandboxes(tmp_path / "sandboxes", **arguments), tmp_path / "home", tmp_path / "workspace")  # type: ignore[arg-type]
        )
        return made[-1]

    yield make
    for starter in made:
        starter.close()


@pytest.fixture
def starter(new_starter: Callable[..., Starter]) -> Starter:
    return new_starter()


@pytest.fixture(params=[False, True], ids=["stopped", "killed"])
def either_starter(starter: Starter, request: pytest.FixtureRequest) -> Starter:
    """One whose commands have a first program, and one where bubblewrap does all."""
    starter.is_only_killed = request.param
    return starter
