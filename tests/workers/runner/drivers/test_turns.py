"""Turns of real CLIs: their own question tool, and a message in the middle."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.doubles.model_server import ModelServer, Scene
from tests.doubles.model_wire import Step
from tests.workers.runner.drivers.cli_runs import (
    APIS,
    INSTALLED,
    MODELS,
    Ran,
    access,
    repository,
    run_program,
    tool_server,
    usable_program,
)
from tests.workers.runner.drivers.tools_stand_in import RunTools
from workers.runner.drivers.program import Ending, Event, ToolCall, Work
from workers.runner.drivers.programs import PROGRAM_DRIVERS

QUESTION = {
    "question": "Which colour?",
    "header": "Colour",
    "multiSelect": False,
    "options": [{"label": "Red", "description": "warm"}, {"label": "Blue", "description": "cool"}],
}


@pytest.fixture(autouse=True)
def _installed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_AGENT_DRIVERS_DIR", str(INSTALLED))


@pytest.mark.slow
def test_claudes_own_question_reaches_people_and_gets_their_answer(tmp_path: Path) -> None:
    driver = PROGRAM_DRIVERS["claude"]()
    executable, workspace = usable_program(driver), repository(tmp_path / "one")
    steps = (Step("I ask.", "AskUserQuestion", {"questions": [QUESTION]}), Step("Blue it is."))
    with ModelServer([Scene("TASK-1", steps)]) as model, RunTools(tmp_path / "t.sock", "Blue, please") as tools:
        models = access(model.url, None, "anthropic")
        work = Work("TASK-1", workspace, tmp_path / "home", None, models, tool_server(tools.path), executable)
        ran = run_program(driver, work)

    assert ran.classified is not None
    assert ran.classified.ending is Ending.DONE, (ran.classified, ran.stderr)
    assert tools.calls == [
        {
            "tool": "ask_user_question",
            "arguments": {
                "question": "Which colour?",
                "context": "Red: warm\nBlue: cool",
                "options": ["Red", "Blue"],
                "blocking": True,
            },
        }
    ]
    (result,) = ran.results
    assert result.ok
    assert "Blue, please" in result.text


def _in_the_middle(name: str, tmp_path: Path) -> tuple[Ran, ModelServer]:
    """A run whose command waits for a file; when it has begun, a message is sent."""
    driver = PROGRAM_DRIVERS[name]()
    executable, workspace = usable_program(driver), repository(tmp_path / "one")
    go_on = workspace / "go-on"  # it sees no other folder
    wait = f"until [ -e {go_on} ]; do sleep 0.1; done; echo went on"
    shell = {"claude": "Bash", "qwen": "run_shell_command"}[name]
    call = Step("I wait.", shell, {"command": wait, "description": "Wait"})
    scenes = [Scene("TASK-1", (call, Step("Done."))), Scene("SECOND THOUGHT", (Step("As you say."),))]
    with ModelServer(scenes) as model:
        models = access(model.url, MODELS[name], APIS[name])
        work = Work("TASK-1", workspace, tmp_path / "home", None, models, None, executable)
        command = driver.command(work)

        def send(event: Event, process: subprocess.Popen[str]) -> None:
            if isinstance(event, ToolCall):
                assert process.stdin is not None
                assert command.message is not None
                process.stdin.write(command.message("SECOND THOUGHT"))
                process.stdin.flush()
                go_on.touch()

        return run_program(driver, work, on_event=send), model


@pytest.mark.slow
@pytest.mark.parametrize("name", ["claude", "qwen"])
def test_a_message_in_the_middle_reaches_the_model(name: str, tmp_path: Path) -> None:
    ran, model = _in_the_middle(name, tmp_path)

    assert ran.classified is not None
    assert ran.classified.ending is Ending.DONE, (ran.classified, ran.stderr)
    assert any("SECOND THOUGHT" in str(request.body) for request in model.requests)
    assert any("went on" in result.text for result in ran.results)
