"""Commands of the user's own: one that speaks the Agent Client Protocol, and any other."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.workers.runner.drivers import toy_acp_agent
from tests.workers.runner.drivers.cli_runs import Ran, run_program
from workers.runner.drivers.acp import AcpDriver
from workers.runner.drivers.command import CommandDriver
from workers.runner.drivers.program import (
    End,
    Ending,
    Event,
    ModelAccess,
    Plan,
    SessionStarted,
    Text,
    ToolCall,
    ToolResult,
    Work,
)

TOY = (sys.executable, str(Path(toy_acp_agent.__file__).resolve()))


def _work(folder: Path, prompt: str, template: tuple[str, ...]) -> Work:
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    models = ModelAccess({"openai": "http://127.0.0.1:9"}, "awm_token", "m")
    return Work(prompt, workspace, folder / "home", None, models, None, template[0], template)


def _acp(folder: Path, prompt: str) -> Ran:
    return run_program(AcpDriver(), _work(folder, prompt, TOY))


def test_a_turn_over_the_protocol_is_told_in_order(tmp_path: Path) -> None:
    ran = _acp(tmp_path, "plan, permission")

    assert ran.events == [
        SessionStarted("s-1"),
        Plan((("Read", True), ("Write", False))),
        ToolCall("c-1", "run", {"command": "ls"}),
        ToolResult("c-1", True, "yes", 0),
        Text("I read: plan, permission in workspace"),
        End(True, "I read: plan, permission in workspace"),
    ]
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.classified is not None
    assert ran.classified.ending is Ending.DONE


@pytest.mark.slow
def test_a_crash_is_broken_and_a_refusal_has_its_time(tmp_path: Path) -> None:
    crashed = _acp(tmp_path, "crash").classified
    before = datetime.now(UTC)
    refused = _acp(tmp_path, "refuse").classified
    after = datetime.now(UTC)

    assert crashed is not None
    assert refused is not None
    assert crashed.ending is Ending.BROKEN
    assert "in the middle of its work" in crashed.reason
    assert refused.ending is Ending.REFUSED
    assert refused.until is not None
    assert before + timedelta(seconds=20) <= refused.until <= after + timedelta(seconds=20)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["message", "interrupt"])
def test_orders_reach_the_agent(order: str, tmp_path: Path) -> None:
    driver, work = AcpDriver(), _work(tmp_path, "plan, wait" if order == "interrupt" else "plan", TOY)
    command = driver.command(work)

    def send(event: Event, process: subprocess.Popen[str]) -> None:
        if isinstance(event, Plan):
            assert process.stdin is not None
            assert command.message is not None
            assert command.interrupt is not None
            process.stdin.write(command.message("and this") if order == "message" else command.interrupt())
            process.stdin.flush()

    ran = run_program(driver, work, on_event=send)
    assert ran.classified is not None
    if order == "message":
        assert ran.texts == ["I read: plan in workspace", "I read: and this in workspace"]
        assert ran.classified.ending is Ending.DONE
    else:
        assert ran.classified.ending is Ending.BROKEN


def test_a_command_gets_its_prompt_where_its_template_says(tmp_path: Path) -> None:
    show = 'echo "argument: $1"; echo "file: $(cat "$2")"; echo "in: $(cat)"; echo "$OPENAI_BASE_URL $OPENAI_API_KEY"'
    shell = ("sh", "-c", show, "sh")

    both = run_program(CommandDriver(), _work(tmp_path, "do {workspace}", (*shell, "{prompt}", "{prompt_file}")))
    neither = run_program(CommandDriver(), _work(tmp_path, "do it", (*shell, "{workspace}", "/dev/null")))

    assert both.texts == ["argument: do {workspace}", "file: do {workspace}", "in: ", "http://127.0.0.1:9/v1 awm_token"]
    assert neither.texts[0] == f"argument: {tmp_path / 'workspace'}"
    assert neither.texts[2] == "in: do it"


@pytest.mark.parametrize(
    ("driver", "setting"), [(AcpDriver(), "AIWORKER_AGENT_ACP_COMMAND"), (CommandDriver(), "AIWORKER_AGENT_COMMAND")]
)
def test_the_setting_of_a_command_is_checked(
    driver: AcpDriver | CommandDriver, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(setting, raising=False)
    assert driver.check().says == f"{setting} is not set; set it to the command that does the work"
    for value, says in (("'open", "quotes are missing"), ("no-such-program x", "there is no program no-such-program")):
        monkeypatch.setenv(setting, value)
        assert not driver.check().can_work
        assert says in driver.check().says
    monkeypatch.setenv(setting, "sh -c 'exit 1'")
    assert driver.check().can_work
