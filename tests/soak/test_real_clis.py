"""Each real CLI alone: works with a question, goes on in its session elsewhere, sends no token but ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.doubles import coding_story
from tests.doubles.cli_dialects import DIALECTS
from tests.doubles.model_server import ModelServer
from tests.workers.runner.drivers.cli_runs import (
    APIS,
    INSTALLED,
    MODELS,
    Ran,
    access,
    git,
    keep,
    repository,
    run_program,
    tool_server,
    usable_program,
)
from tests.workers.runner.drivers.tools_stand_in import RunTools
from workers.runner.drivers.program import Ending, SessionStarted, ToolCall, ToolResult, Work
from workers.runner.drivers.programs import PROGRAM_DRIVERS

pytestmark = pytest.mark.timeout(600)
OWN_QUESTION_TOOLS = {"AskUserQuestion", "request_user_input", "ask_user", "ask_user_question", "question"}


@pytest.fixture(autouse=True)
def _installed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_AGENT_DRIVERS_DIR", str(INSTALLED))


def _is_in_order(ran: Ran) -> None:
    """A session first; each call once, and its result after it; the end last."""
    assert isinstance(ran.events[0], SessionStarted)
    assert ran.events[0].tools_fault is None
    called: list[str] = []
    for event in ran.events:
        if isinstance(event, ToolCall):
            called.append(event.id)
        elif isinstance(event, ToolResult):
            assert event.id in called
    assert len(called) == len(set(called))
    assert sorted(called) == sorted(result.id for result in ran.results)
    assert ran.events[-1] is ran.end


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_cli_asks_edits_tests_commits_and_resumes_elsewhere(name: str, tmp_path: Path) -> None:
    driver = PROGRAM_DRIVERS[name]()
    executable = usable_program(driver)
    first_place = repository(tmp_path / "one")
    with (
        ModelServer(coding_story.story(name)) as model,
        RunTools(tmp_path / "t.sock", "Yes, floats too.") as tools,
    ):
        models = access(model.url, MODELS[name], APIS[name])
        prompt = f"TASK-1: make add() work.\nWorkspace: {first_place}\n"
        work = Work(prompt, first_place, tmp_path / "home", None, models, tool_server(tools.path), executable)
        first = run_program(driver, work)

        assert first.classified is not None
        assert first.classified.ending is Ending.DONE, (first.classified, first.stderr, first.lines)
        _is_in_order(first)
        assert len(first.calls) == 4
        assert tools.calls[0]["arguments"]["question"] == coding_story.QUESTION
        assert any("Yes, floats too." in result.text for result in first.results)
        assert all(result.ok for result in first.results), first.results
        assert first.texts[0] == "I'll read the code first."
        assert first.end is not None
        assert first.end.text == coding_story.DONE
        assert "return a + b" in (first_place / "calc.py").read_text()
        assert git(first_place, "log", "--format=%an %s", "-1") == "AI agent Fix add()\n"
        if name != "opencode":
            assert {request.headers.get("authorization", "") for request in model.requests} <= {"Bearer awm_token", ""}

        # No question tool but the platform's, and Claude's, which is mapped to it.
        offered = set(re.findall(r"'name': '(\w+)'", str([one.body for one in model.requests])))
        # Codex tells the platform's tool by its plain name, in a namespace.
        expected = {"claude": {"AskUserQuestion"}, "codex": {"ask_user_question"}}.get(name, set())
        assert offered & OWN_QUESTION_TOOLS == expected
        # The model has the platform's from the first; Codex names it, and lists it when the model looks for it.
        working = [one.body for one in model.requests if one.body.get("tools")]
        named = str(working[0]) if name == "codex" else str(working[0]["tools"])
        assert ("mcp__aiworker" if name == "codex" else DIALECTS[name].ask_with) in named
        assert "plan_mode" not in str(working[0]["tools"]), "nobody approves a plan"
        assert len(working) == 5, "each call of the model is a step of the story"

        # Another agent has another work directory, and nothing but what was kept.
        second_place = tmp_path / "elsewhere" / "two"
        second_place.parent.mkdir()
        git(tmp_path, "clone", "-q", str(first_place), str(second_place))
        keep(tmp_path / "home", driver.command(work).kept, tmp_path / "home-2")
        feedback = f"FEEDBACK: please add a docstring.\nWorkspace: {second_place}\n"
        again = Work(
            feedback, second_place, tmp_path / "home-2", first.session, models, tool_server(tools.path), executable
        )
        asked = len(model.requests)
        second = run_program(driver, again)

    assert second.classified is not None
    assert second.classified.ending is Ending.DONE, (second.classified, second.stderr, second.lines)
    _is_in_order(second)
    assert second.session == first.session
    assert second.end is not None
    assert second.end.text == coding_story.DONE_AGAIN
    assert "Return the sum" in (second_place / "calc.py").read_text()
    assert git(second_place, "log", "--format=%s", "-1") == "Add docstring\n"
    # The model is told what was said before.
    assert "make add() work" in str([request.body for request in model.requests[asked:]])
