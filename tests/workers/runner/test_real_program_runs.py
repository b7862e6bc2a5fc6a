"""A real coding CLI in a whole run of a review. What it asks and writes is shown on a whole instance in tests/e2e."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.machine.text import camel_case
from common.values.json_codec import decode
from common.values.runs.claimed_run import ClaimedRun
from tests.doubles.cli_dialects import DIALECTS
from tests.doubles.model_server import ModelServer, Scene
from tests.doubles.model_wire import Step
from tests.workers.runner.drivers.cli_runs import APIS, INSTALLED, MODELS, git, repository, usable_program
from tests.workers.runner.places import sandboxes
from tests.workers.runner.runner_platform import Platform
from workers.runner.attempt.attempt import Attempt
from workers.runner.attempt.attempt_settings import AttemptSettings
from workers.runner.drivers.offer import DriverOffer
from workers.runner.drivers.programs import PROGRAM_DRIVERS


def test_a_verdict_is_given_as_the_programs_output_shows_its_call(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIWORKER_AGENT_DRIVERS_DIR", str(INSTALLED))
    name, bare, directory = "codex", tmp_path / "bare.git", tmp_path / "run-1"
    driver, cli = PROGRAM_DRIVERS[name](), DIALECTS[name]
    usable_program(driver)
    git(repository(tmp_path / "work"), "clone", "-q", "--bare", ".", str(bare))
    git(bare, "branch", "main", "task-1")
    tool = cli.ask_with.replace("ask_user_question", "submit_review")
    remark = {"path": "calc.py", "line": 2, "body": "It subtracts."}
    said = {"verdict": "request_changes", "summary": "It does\nnot add: „a − b“.", "comments": [remark]}
    steps = (cli.read("calc.py"), Step("I have seen it.", tool, said, namespace=cli.namespace), Step("That's it."))
    prompt = f"REVIEW-1: make add() work.\nWorkspace: {directory}/repository\n"
    with ModelServer([Scene("REVIEW-1", steps)]) as model:
        run = platform.add_run(
            "run-1", bare, "x", driver=name, model=MODELS[name], prompt=prompt, freshPrompt=prompt,
            models={"token": "awm_model-token", "addresses": {APIS[name]: model.url}},
        )  # fmt: skip
        run.claim["run"]["purpose"] = "review"
        run.claim["clone"]["commit"] = git(bare, "rev-parse", "task-1").strip()
        offer = DriverOffer(programs={name: driver})
        offer.check()
        claimed = decode(ClaimedRun, run.claim, key_of=camel_case)
        Attempt(
            claimed, url=platform.url, directory=directory, offer=offer, sandboxes=sandboxes(directory),
            settings=AttemptSettings(ask_hold_seconds=0),
        ).execute()  # fmt: skip

    assert run.finish is not None
    assert (run.finish["outcome"], run.finish["summary"]) == ("completed", said["summary"]), run.log
    assert run.verdicts == [said]
    assert any("Noted. End your turn now." in line["message"] for line in run.lines if line["kind"] == "result")
