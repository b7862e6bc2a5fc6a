"""Whole runs of a real coding CLI: a question, its answer in another directory, and the transcript.

The model is the scripted server; the platform and the repository are those of the runner's other tests.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import psutil

from common.machine.text import camel_case
from common.values.claimed_run import ClaimedRun
from common.values.json_codec import decode
from tests.doubles import coding_story
from tests.doubles.cli_dialects import DIALECTS
from tests.doubles.model_server import ModelServer, Scene
from tests.doubles.model_wire import Step
from tests.patience import PATIENCE_SECONDS
from tests.workers.runner.drivers.cli_runs import APIS, MODELS, git, repository, usable_program
from tests.workers.runner.places import sandboxes
from tests.workers.runner.runner_platform import Platform, PlatformRun, eventually
from workers.runner.attempt import Attempt
from workers.runner.attempt_settings import AttemptSettings
from workers.runner.drivers.offer import DriverOffer
from workers.runner.drivers.programs import PROGRAM_DRIVERS

RUN_TOKEN, PASSWORD = "token-of-run-", "s3cret-password"


class RealRuns:
    """Runs of one driver's program, each in a directory of its own."""

    def __init__(self, name: str, platform: Platform, model: ModelServer, folder: Path) -> None:
        self.platform, self.folder, self.name = platform, folder, name
        self.driver = PROGRAM_DRIVERS[name]()
        git(repository(folder / "work"), "clone", "-q", "--bare", ".", str(folder / "bare.git"))
        git(folder / "bare.git", "branch", "main", "task-1")
        self.models = {"token": "awm_model-token", "addresses": {APIS[name]: model.url}}
        self.count = 0
        self.offer = DriverOffer(programs={name: self.driver})
        self.offer.check()

    def begin(self, prompt: str, *, hold_seconds: float = 0.0, is_review: bool = False) -> PlatformRun:
        self.count += 1
        run = self.platform.add_run(
            f"run-{self.count}", self.folder / "bare.git", "x", driver=self.name, model=MODELS[self.name],
            models=self.models, prompt=prompt, freshPrompt=prompt, username="run", password=PASSWORD,
        )  # fmt: skip
        if is_review:
            run.claim["run"]["purpose"] = "review"
            run.claim["clone"]["commit"] = git(self.folder / "bare.git", "rev-parse", "task-1").strip()
        claimed = decode(ClaimedRun, run.claim, key_of=camel_case)
        settings = AttemptSettings(ask_hold_seconds=hold_seconds)
        directory = self.folder / f"run-{self.count}"
        begun = Attempt(
            claimed, url=self.platform.url, directory=directory, offer=self.offer, sandboxes=sandboxes(directory),
            settings=settings,
        )  # fmt: skip
        threading.Thread(target=begun.execute, daemon=True).start()
        return run

    def prompt(self, words: str) -> str:
        return f"{words}: make add() work.\nWorkspace: {self.folder}/run-{self.count + 1}/repository\n"

    def ended(self, run: PlatformRun) -> dict[str, Any]:
        eventually(lambda: run.finish, "the run is reported")
        assert run.finish is not None
        return run.finish

    def show(self, path: str) -> str:
        return git(self.folder / "bare.git", "show", f"task-1:{path}")


def kinds(run: PlatformRun) -> list[str]:
    return [line["kind"] for line in run.lines if line["kind"] in {"text", "tool", "result"}]


def no_secret_below(folder: Path) -> None:
    """No process below this folder knows the run's token or the forge's password, and no file there holds them."""
    for process in psutil.process_iter():
        try:
            if str(folder) in process.environ().get("HOME", ""):
                seen = f"{process.environ()} {process.cmdline()}"
                assert RUN_TOKEN not in seen
                assert PASSWORD not in seen
        except (psutil.Error, OSError):
            continue
    for directory, _folders, names in os.walk(folder):
        for path in (Path(directory, name) for name in names):
            # The program, git and the runner remove what they need no more.
            try:
                content = path.read_bytes() if path.is_file() and path.stat().st_size < 2**20 else b""
            except OSError:
                continue
            assert RUN_TOKEN.encode() not in content, path
            assert PASSWORD.encode() not in content, path


def asks_and_goes_on_elsewhere(name: str, platform: Platform, folder: Path) -> None:
    """The question ends the run; the answer goes on in the same session, in another directory."""
    usable_program(PROGRAM_DRIVERS[name]())
    with ModelServer(coding_story.story(name)) as model:
        runs = RealRuns(name, platform, model, folder)
        first = runs.begin(runs.prompt(coding_story.FIRST))
        eventually(lambda: platform.questions or first.finish, "it asks")
        no_secret_below(folder / "run-1")
        assert runs.ended(first)["outcome"] == "waiting", first.log
        assert "return a + b" in runs.show("calc.py")
        eventually(lambda: not (folder / "run-1").exists(), "its directory is removed")

        platform.answer("Yes, floats too.")
        second = runs.begin(runs.prompt(coding_story.FEEDBACK))

        report = runs.ended(second)
        assert report["outcome"] == "completed", second.log
        assert coding_story.DONE_AGAIN in report["summary"]
        assert '"""Return the sum."""' in runs.show("calc.py")
        sessions = {line["message"] for run in (first, second) for line in run.lines if " session " in line["message"]}
        assert len(sessions) == 1, sessions
        for run in (first, second):
            calls = [line["callId"] for line in run.lines if line["kind"] == "tool"]
            results = [line["callId"] for line in run.lines if line["kind"] == "result"]
            assert calls
            assert sorted(calls) == sorted(results)
            assert {"tool", "result"} <= set(kinds(run))
        # Codex says which file it changed, and not how.
        assert name == "codex" or any("diff" in (line.get("details") or {}) for line in second.lines)
        assert all("durationMs" in line["details"] for line in second.lines if line["kind"] == "result")


def answers_within_the_hold(name: str, platform: Platform, folder: Path) -> None:
    """The answer comes while the session is open: one run asks, goes on, and hands in."""
    usable_program(PROGRAM_DRIVERS[name]())
    with ModelServer(coding_story.story(name)) as model:
        runs = RealRuns(name, platform, model, folder)
        run = runs.begin(runs.prompt(coding_story.FIRST), hold_seconds=PATIENCE_SECONDS)
        eventually(lambda: platform.questions or run.finish, "it asks")
        assert run.finish is None, run.log
        no_secret_below(folder / "run-1")

        platform.answer("Yes, floats too.")

        report = runs.ended(run)
        assert report["outcome"] == "completed", run.log
        assert coding_story.DONE in report["summary"]
        assert "return a + b" in runs.show("calc.py")
        assert any("Yes, floats too." in str(line) for line in run.lines if line["kind"] == "result"), run.lines
        calls = [line["callId"] for line in run.lines if line["kind"] == "tool"]
        assert calls
        assert sorted(calls) == sorted(line["callId"] for line in run.lines if line["kind"] == "result")


def gives_a_verdict(name: str, platform: Platform, folder: Path) -> None:
    """Its output shows the call of the tool, with the arguments that reach the socket, before the call is answered."""
    usable_program(PROGRAM_DRIVERS[name]())
    cli = DIALECTS[name]
    tool = cli.ask_with.replace("ask_user_question", "submit_review")
    remark = {"path": "calc.py", "line": 2, "body": "It subtracts."}
    said = {"verdict": "request_changes", "summary": "It does\nnot add: „a − b“.", "comments": [remark]}
    steps = (cli.read("calc.py"), Step("I have seen it.", tool, said, namespace=cli.namespace), Step("That's it."))
    with ModelServer([Scene("REVIEW-1", steps)]) as model:
        runs = RealRuns(name, platform, model, folder)
        run = runs.begin(runs.prompt("REVIEW-1"), is_review=True)

        report = runs.ended(run)
        assert (report["outcome"], report["summary"]) == ("completed", said["summary"]), run.log
        assert run.verdicts == [said]
        assert any("Noted. End your turn now." in line["message"] for line in run.lines if line["kind"] == "result")
