"""Programs that misbehave or are interrupted: nothing is left running, and the work is kept; messages reach them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.workers.runner.fake_program import FakeDriver, attempt, without_sandbox, write_program
from tests.workers.runner.runner_platform import Platform, PlatformRun, ended, eventually, git, head
from workers.runner.attempt.attempt import Attempt
from workers.runner.attempt.attempt_settings import AttemptSettings
from workers.runner.processes.cancellation import Why
from workers.runner.programs.program_process import ProgramTimeouts
from workers.sandbox.sandboxes import SandboxMode


def _text(path: Path) -> str:
    """What has been written there so far. Empty if nothing has."""
    return path.read_text() if path.exists() else ""


class Trouble:
    def __init__(self, platform: Platform, repository: Path, folder: Path) -> None:
        self.platform, self.repository, self.folder = platform, repository, folder
        self.driver = FakeDriver(folder / "fake")
        self.pids = folder / "pids"

    def begin(
        self, script: str, program_timeouts: ProgramTimeouts | None = None, **settings: Any
    ) -> tuple[Attempt, PlatformRun]:
        """Start a run in a thread. The script's `note` writes a process's number for `none_is_left`."""
        note = f"note() {{ echo $1 >> {self.pids}; }}; note $$\n"
        write_program(self.driver.executable, note + script)
        run = self.platform.add_run("run-1", self.repository, "x", driver="fake", prompt="p", freshPrompt="f")
        chosen = AttemptSettings(ask_hold_seconds=0, program_timeouts=program_timeouts or ProgramTimeouts(), **settings)
        begun = attempt(self.platform, run, self.folder / "work", self.driver, chosen, mode=SandboxMode.OFF)
        threading.Thread(target=begun.execute, daemon=True).start()
        return begun, run

    def execute(
        self, script: str, program_timeouts: ProgramTimeouts | None = None
    ) -> tuple[dict[str, Any], PlatformRun]:
        _, run = self.begin(script, program_timeouts)
        report = ended(run)
        self.none_is_left()
        return report, run

    @property
    def noted(self) -> list[str]:
        return _text(self.pids).split()

    def none_is_left(self) -> None:
        pids = [int(pid) for pid in self.noted]
        assert pids
        eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids), "none of its processes is left")
        eventually(lambda: not (self.folder / "work").exists(), "its directory is removed")

    def reads(self, path: str) -> str:
        """What the clone has there now."""
        return _text(self.folder / "work" / "repository" / path)

    def show(self, path: str) -> str:
        return git("show", f"task-1:{path}", cwd=self.repository)


@pytest.fixture
def trouble(platform: Platform, repository: Path, tmp_path: Path) -> Trouble:
    return Trouble(platform, repository, tmp_path)


class PatientUntil(ProgramTimeouts):
    """A program may be silent for a minute until it `has_begun`, and for a second from then on."""

    has_begun: Callable[[], bool]

    def __init__(self, has_begun: Callable[[], bool]) -> None:
        object.__setattr__(self, "has_begun", has_begun)

    @property
    def silence(self) -> float:
        return 1.0 if self.has_begun() else 60.0


HANG = "sleep 300 & note $!; setsid sleep 300 & note $!; while :; do sleep 0.05; done"


@pytest.mark.slow
def test_a_program_that_hangs_is_stopped_resumed_and_then_given_back(trouble: Trouble) -> None:
    program_timeouts = PatientUntil(lambda: trouble.reads("half") == f"{len(trouble.driver.works)}\n")
    report, _ = trouble.execute(f"session s; text hi; echo $N > half; {HANG}", program_timeouts)
    assert (report["outcome"], report["cutShort"]) == ("cancelled", True)
    assert report["reason"] == "fake said nothing for 1 seconds and was stopped."
    assert trouble.show("half") == "2"
    assert [work.resume for work in trouble.driver.works] == [None, "s"]


@pytest.mark.slow
@pytest.mark.parametrize(("why", "reported"), [(Why.CANCELLED, True), (Why.SHUTDOWN, False)])
def test_however_it_is_ended_its_work_and_session_are_kept(trouble: Trouble, why: Why, reported: bool) -> None:
    begun, run = trouble.begin(f"trap '' INT TERM; session s; text hi; echo x > x; text there; {HANG}")
    eventually(lambda: "there" in run.log, "it works")

    begun.cancel(why, "Enough")

    if reported:
        assert ended(run)["outcome"] == "cancelled"
    trouble.none_is_left()
    assert (run.finish is not None) == reported
    assert trouble.show("x") == "x"
    assert git("log", "-1", "--format=%s", "task-1", cwd=trouble.repository) == "Unfinished: Do it"
    assert trouble.platform.sessions


def test_a_run_that_is_over_pushes_nothing_any_more(trouble: Trouble) -> None:
    before = head(trouble.repository)
    begun, run = trouble.begin(f"session s; echo x > x; text there; {HANG}")
    eventually(lambda: "there" in run.log, "it works")
    begun.drop("Another agent has it.")
    trouble.none_is_left()
    assert head(trouble.repository) == before
    assert not trouble.platform.sessions


def test_every_few_minutes_the_work_is_kept_while_it_goes_on(trouble: Trouble) -> None:
    go = trouble.folder / "go"
    script = (
        f"session s; echo one > kept; echo tmp > ignored; echo ignored > .gitignore; git add kept; text there;"
        f"until [ -e {go} ]; do sleep 0.05; done; git diff --cached --name-only > staged;"
        " git commit -q -m Own; echo two > more; end true 'All done'"
    )
    _, run = trouble.begin(script, checkpoint_seconds=0.2)
    files = [".gitignore", "README.md", "app.txt", "kept"]

    def is_kept() -> bool:
        kept = git("ls-tree", "--name-only", "task-1", cwd=trouble.repository).split()
        return kept == files and bool(trouble.platform.sessions)

    eventually(is_kept, "a checkpoint of all that it wrote, and nothing else, is pushed")
    assert trouble.show("kept") == "one"
    checkpoint = head(trouble.repository)

    go.touch()

    report = ended(run)
    assert report["outcome"] == "completed"
    assert report["commitSha"] == head(trouble.repository)
    git("merge-base", "--is-ancestor", checkpoint, "task-1", cwd=trouble.repository)
    subjects = git("log", "--format=%s", "task-1", cwd=trouble.repository).splitlines()
    assert subjects[0] == "Do it"
    assert "Own" in subjects
    assert trouble.show("staged") == "kept"
    assert trouble.show("more") == "two"
    trouble.none_is_left()


# People's messages


def test_a_message_counts_as_delivered_only_once_the_program_got_it(trouble: Trouble) -> None:
    """A run that this machine loses meanwhile takes no message with it."""
    go = trouble.folder / "go"
    wait = f"until [ -e {go} ]; do sleep 0.05; done"
    _, run = trouble.begin(f"session s; [ $N = 1 ] && {{ text there; {wait}; }}; echo $N >> turns; end true turn-$N")
    eventually(lambda: "there" in run.log, "it works")
    trouble.platform.write(run, "Use tabs")
    eventually(lambda: any("wait=0" in query for query in trouble.platform.queries), "the message is fetched")
    assert not any("after=1" in it for it in trouble.platform.queries)

    go.touch()

    assert ended(run)["summary"] == "turn-2"
    assert any("after=1" in it for it in trouble.platform.queries)


def test_a_program_that_takes_messages_gets_them_within_its_turn(trouble: Trouble) -> None:
    trouble.driver.takes_messages = True
    _, run = trouble.begin(
        'read -r first; session s; text there; read -r second; printf \'%s %s\' "$first" "$second" > got;'
        "end true done;"
        "read -r third || echo closed > closed"
    )
    eventually(lambda: "there" in run.log, "it works")
    trouble.platform.write(run, "Use tabs")

    assert ended(run)["summary"] == "done"
    assert trouble.show("got").endswith('\\n\\nf" "A message from Ada:\\n\\nUse tabs"')
    assert trouble.show("closed") == "closed"
    assert len(trouble.driver.works) == 1


def test_an_interruption_ends_the_process_and_resumes_its_session(trouble: Trouble) -> None:
    _, run = trouble.begin("session s; [ $N = 1 ] && { echo 1 > one; text there; sleep 300; }; end true turn-$N")
    eventually(lambda: "there" in run.log, "it works")
    trouble.platform.write(run, "Use tabs", interrupts=True)

    assert ended(run)["summary"] == "turn-2"
    prompts = [(without_sandbox(work), work.resume) for work in trouble.driver.works]
    assert prompts == [("f", None), ("A message from Ada:\n\nUse tabs", "s")]
    assert "fake is interrupted." in run.log
    assert trouble.show("one") == "1"
