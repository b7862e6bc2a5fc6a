"""A driver for programs that play a coding CLI: short shell scripts that print events of the test's own, as JSON.

The script has functions that print an event: session ID, text TEXT, call ID COMMAND, edit ID PATH OLD NEW, result ID OK
TEXT, end OK TEXT. `$PROMPT` and `$RESUME` are what the runner asked for, `$N` counts the processes in this home from 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.machine.text import camel_case
from common.values.json_codec import decode
from common.values.runs.claimed_run import ClaimedRun
from tests.workers.runner.run_sandboxes import sandboxes
from tests.workers.runner.runner_platform import Platform, PlatformRun, git
from workers.runner.attempt.attempt import Attempt
from workers.runner.attempt.attempt_settings import AttemptSettings
from workers.runner.drivers.offer import DriverOffer
from workers.runner.drivers.program import (
    Classified,
    Command,
    End,
    Ending,
    Event,
    Exit,
    Reader,
    SessionStarted,
    Text,
    ToolCall,
    ToolResult,
    Work,
)
from workers.runner.platform_client.driver_findings import DriverFinding
from workers.sandbox.sandboxes import SandboxMode

EVENTS = r"""#!/bin/sh
PROMPT=$1 RESUME=$2 SOCKET=$3
mkdir -p "$HOME/.fake"
echo run >> "$HOME/.fake/processes"
N=$(wc -l < "$HOME/.fake/processes")
session() { echo "{\"event\": \"session\", \"id\": \"$1\"}"; }
text() { echo "{\"event\": \"text\", \"text\": \"$1\"}"; }
call() { echo "{\"event\": \"call\", \"id\": \"$1\", \"name\": \"Bash\", \"input\": {\"command\": \"$2\"}}"; }
edit() { echo "{\"event\": \"call\", \"id\": \"$1\", \"name\": \"Edit\", \"input\": {\"file_path\": \"$PWD/$2\", \"old_string\": \"$3\", \"new_string\": \"$4\"}}"; }
result() { echo "{\"event\": \"result\", \"id\": \"$1\", \"ok\": $2, \"text\": \"$3\", \"code\": 0}"; }
end() { echo "{\"event\": \"end\", \"ok\": $1, \"text\": \"$2\"}"; }
"""  # noqa: E501


@dataclass
class FakeDriver:
    """takes_messages: people's messages go to its standard input, one JSON line each."""

    executable: Path
    takes_messages: bool = False
    has_interrupt: bool = False
    kept: tuple[str, ...] = (".fake/**",)
    name: str = "fake"
    api: str | None = "anthropic"
    works: list[Work] = field(default_factory=list)

    def check(self) -> DriverFinding:
        if not self.executable.exists():
            return DriverFinding(self.name, False, "The fake is not installed.")
        return DriverFinding(self.name, True, "fake 1.0", "1.0", str(self.executable))

    def command(self, work: Work) -> Command:
        self.works.append(work)
        socket = work.tools.arguments[-1] if work.tools else ""
        models = work.models
        return Command(
            argv=(work.executable, work.prompt, work.resume or "", socket),
            environ={"MODEL_TOKEN": models.token} if models else {},
            files={".fake/config.json": "{}"},
            kept=self.kept,
            first_input=json.dumps(work.prompt) + "\n" if self.takes_messages else None,
            message=(lambda text: json.dumps(text) + "\n") if self.takes_messages else None,
            interrupt=(lambda: '"interrupt"\n') if self.has_interrupt else None,
        )

    def reader(self) -> Reader:
        return FakeReader()


class FakeReader(Reader):
    def read(self, line: str) -> Iterable[Event]:
        try:
            event = json.loads(line)
        except ValueError:
            return []
        match event:
            case {"event": "session", "id": id}:
                return [SessionStarted(id)]
            case {"event": "text", "text": text}:
                return [Text(text)]
            case {"event": "call", "id": id, "name": name, "input": arguments}:
                return [ToolCall(id, name, arguments)]
            case {"event": "result", "id": id, "ok": ok, "text": text, "code": code}:
                return [ToolResult(id, ok, text, code)]
            case {"event": "end", "ok": ok, "text": text}:
                return [End(ok, text)]
        return []

    def classify(self, exit: Exit) -> Classified:  # noqa: A002
        if exit.is_question_open:
            return Classified(Ending.QUESTION)
        if exit.end is not None and not exit.end.ok:
            return Classified(Ending.REFUSED, exit.end.text)
        if exit.code == 0 and exit.end is not None:
            return Classified(Ending.DONE)
        said = exit.stderr.strip().splitlines()[-1:] or [""]
        return Classified(Ending.BROKEN, f"fake ended with exit code {exit.code}. {said[0]}".strip())


def write_program(path: Path, script: str) -> Path:
    path.write_text(EVENTS + script)
    path.chmod(0o755)
    return path


def attempt(
    platform: Platform,
    run: PlatformRun,
    directory: Path,
    driver: FakeDriver,
    settings: AttemptSettings | None = None,
    mode: SandboxMode = SandboxMode.AUTO,
) -> Attempt:
    """The run's attempt with this driver, not started yet. mode: OFF for programs that write beside the run."""
    offer = DriverOffer(programs={"fake": driver})
    offer.check()
    claimed = decode(ClaimedRun, run.claim, key_of=camel_case)
    return Attempt(
        claimed, url=platform.url, directory=directory, offer=offer, sandboxes=sandboxes(directory, mode),
        settings=settings or AttemptSettings(ask_hold_seconds=0),
    )  # fmt: skip


def without_sandbox(work: Work) -> str:
    """Its prompt without the first line, which names the working directory."""
    first, _, rest = work.prompt.partition("\n\n")
    if not first.startswith("Working directory: "):
        return work.prompt
    assert first == f"Working directory: {work.workspace}"
    return rest


class Fake:
    """Runs of one program on one platform and repository."""

    def __init__(self, platform: Platform, repository: Path, folder: Path) -> None:
        self.platform, self.repository, self.folder = platform, repository, folder
        self.driver = FakeDriver(folder / "fake")
        self.count = 0

    def add(self, script: str, **more: Any) -> PlatformRun:
        write_program(self.driver.executable, script)
        self.count += 1
        more = {"driver": "fake", "prompt": "what is new", "freshPrompt": "all of it", **more}
        return self.platform.add_run(f"run-{self.count}", self.repository, "Make it nice", **more)

    def execute(self, run: PlatformRun, **settings: Any) -> dict[str, Any]:
        chosen = AttemptSettings(ask_hold_seconds=0, **settings)
        attempt(self.platform, run, self.folder / f"work-{self.count}", self.driver, chosen).execute()
        assert run.finish is not None, run.log
        return run.finish

    def show(self, path: str) -> str:
        return git("show", f"task-1:{path}", cwd=self.repository)

    @property
    def prompts(self) -> list[tuple[str, str | None]]:
        """Each without the line on its working directory, which is that of its workspace if there is one."""
        return [(without_sandbox(work), work.resume) for work in self.driver.works]
