"""Runs a driver's program as the runner will: files laid out, a clean environment, input by its rules, lines read."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from common.values.egress import Egress, Network
from tests.conftest import leave_out
from tests.workers.runner.drivers import tools_stand_in
from tests.workers.runner.run_sandboxes import sandboxes
from workers.runner.drivers.program import (
    Classified,
    Command,
    End,
    Event,
    Exit,
    ModelAccess,
    ProgramDriver,
    SessionStarted,
    Text,
    ToolCall,
    ToolResult,
    ToolServer,
    Work,
)
from workers.runner.processes.run_confinement import CommandSandbox, Confinement
from workers.runner.programs.program_files import program_files
from workers.sandbox.limits import SandboxLimits

ROOT = Path(__file__).parents[4]
INSTALLED = ROOT / ".venv" / "drivers"
GIT_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "AI agent"), ("EMAIL", "agent@aiworker.local"))
}
LONGEST_RUN_SECONDS = 240
MODELS = {"claude": "claude-sonnet-4-5", "codex": "gpt-5.5", "gemini": "gemini-2.5-pro", "opencode": "m", "qwen": "m"}
APIS = {"claude": "anthropic", "codex": "openai", "gemini": "gemini", "opencode": "openai", "qwen": "openai"}


@dataclass
class Ran:
    events: list[Event] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    stderr: str = ""
    code: int = 0
    classified: Classified | None = None

    @property
    def session(self) -> str:
        return next(one.id for one in self.events if isinstance(one, SessionStarted))

    @property
    def calls(self) -> list[ToolCall]:
        return [one for one in self.events if isinstance(one, ToolCall)]

    @property
    def results(self) -> list[ToolResult]:
        return [one for one in self.events if isinstance(one, ToolResult)]

    @property
    def texts(self) -> list[str]:
        return [one.text for one in self.events if isinstance(one, Text)]

    @property
    def end(self) -> End | None:
        return next((one for one in reversed(self.events) if isinstance(one, End)), None)


def tool_server(socket_path: Path) -> ToolServer:
    return ToolServer(sys.executable, (str(Path(tools_stand_in.__file__).resolve()), str(socket_path)))


def usable_program(driver: ProgramDriver) -> str:
    """The path of its program; leaves the test out if there is none."""
    found = driver.check()
    if not found.can_work:
        leave_out(found.says)
    return found.executable


def repository(folder: Path) -> Path:
    """A repository with a function that is wrong and a test that says so; on the branch task-1."""
    folder.mkdir(parents=True)
    (folder / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (folder / "test_calc.py").write_text("from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n")
    git(folder, "init", "-q", "-b", "task-1")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Begin")
    return folder


def git(folder: Path, *arguments: str) -> str:
    environ = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, **GIT_IDENTITY}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environ, check=True, capture_output=True, text=True
    ).stdout


def access(url: str, model: str | None, *apis: str) -> ModelAccess:
    return ModelAccess(dict.fromkeys(apis, url), "awm_token", model)


def run_program(
    driver: ProgramDriver,
    work: Work,
    *,
    on_event: Callable[[Event, subprocess.Popen[str]], None] | None = None,
    is_question_open: bool = False,
    longest_seconds: float = LONGEST_RUN_SECONDS,
) -> Ran:
    """Start the program, read all that it says, and classify its end. Nothing of it is left running."""
    command = driver.command(work)
    work.home.mkdir(parents=True, exist_ok=True)
    for name, content in command.files.items():
        (work.home / name).parent.mkdir(parents=True, exist_ok=True)
        (work.home / name).write_text(content)
    path = os.environ["PATH"]
    environ = {"PATH": path, "HOME": str(work.home), "LANG": "C.UTF-8", **GIT_IDENTITY, **command.environ}
    ran, reader = Ran(), driver.reader()
    errors = (work.home / "stderr.txt").open("w+")
    enclosed = _place(work, command).enclose(command.argv, work.workspace, environ)
    process = subprocess.Popen(
        enclosed.argv,
        cwd=enclosed.cwd,
        env=enclosed.environ,
        pass_fds=enclosed.pass_fds,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,
    )
    enclosed.begin(process.pid)
    assert process.stdin is not None
    assert process.stdout is not None
    guard = threading.Timer(longest_seconds, os.killpg, (process.pid, signal.SIGKILL))
    guard.start()
    try:
        feeder = threading.Thread(target=_feed, args=(process, command.first_input, command.message is None))
        feeder.start()
        for line in process.stdout:
            ran.lines.append(line)
            for event in reader.read(line.rstrip("\n")):
                ran.events.append(event)
                if on_event:
                    on_event(event, process)
                if isinstance(event, End):
                    _close(process)
        feeder.join()
        process.wait()
    finally:
        guard.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()
        _close(process)
        code = enclosed.exit_status(process.returncode)
        enclosed.close()
        errors.seek(0)
        ran.stderr = errors.read()
        errors.close()
    ran.code = code if code >= 0 else 128 - code
    ran.classified = reader.classify(Exit(ran.code, ran.stderr, ran.end, is_question_open))
    return ran


def _place(work: Work, command: Command) -> CommandSandbox:
    """Where the runner would start it."""
    addresses = tuple(work.models.addresses.values()) if work.models else ()
    tools = work.tools.arguments if work.tools else ()
    confining = sandboxes(work.home)
    sandbox_limits = SandboxLimits(
        home=work.home,
        writable=(work.workspace,),
        readable=program_files([work.executable, *command.needs, *tools], hidden=confining.hidden),
        hidden=tuple(work.workspace / name for name in command.hidden),
    )
    network = Network(Egress.NONE)
    return Confinement(confining, network, addresses=addresses).for_programs(sandbox_limits)


def _feed(process: subprocess.Popen[str], first_input: str | None, closes: bool) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(first_input or "")
        process.stdin.flush()
    except (BrokenPipeError, ValueError):
        # It has ended, or it ended its turn and the input was closed.
        pass
    if closes:
        _close(process)


def _close(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def keep(home: Path, kept: tuple[str, ...], into: Path) -> None:
    """Copy what a session needs to another HOME."""
    for pattern in kept:
        for found in home.glob(pattern):
            target = into / found.relative_to(home)
            target.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                shutil.copytree(found, target, dirs_exist_ok=True)
            else:
                shutil.copy2(found, target)
