"""Commands of the user's own: one that speaks the Agent Client Protocol, and any other."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.workers.runner.drivers import toy_acp_agent
from tests.workers.runner.drivers.cli_runs import Ran, run_program, tool_server
from tests.workers.runner.drivers.tools_stand_in import RunTools
from workers.runner.drivers.acp import AcpDriver
from workers.runner.drivers.command import CommandDriver
from workers.runner.drivers.program import (
    Classified,
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
from workers.runner.drivers.templates import template_of

TOY = (sys.executable, str(Path(toy_acp_agent.__file__).resolve()))


def _work(folder: Path, prompt: str, template: tuple[str, ...], resume: str | None = None) -> Work:
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    models = ModelAccess({"openai": "http://127.0.0.1:9"}, "awm_token", "m")
    return Work(prompt, workspace, folder / "home", resume, models, None, template[0], template)


def _acp(folder: Path, prompt: str, resume: str | None = None) -> Ran:
    return run_program(AcpDriver(), _work(folder, prompt, TOY, resume))


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


def _chooses(folder: Path, answer: str | None, prompt: str = "choose") -> tuple[Ran, list[dict[str, Any]]]:
    """A run that asks which colour, and what people were asked. answer: None if there is nobody to ask."""
    work = _work(folder, prompt, TOY)
    if answer is None:
        return run_program(AcpDriver(), work), []
    with RunTools(folder / "t.sock", answer) as tools:
        return run_program(AcpDriver(), replace(work, tools=tool_server(tools.path))), tools.calls


def test_people_choose_where_several_options_of_a_permission_allow_it(tmp_path: Path) -> None:
    ran, asked = _chooses(tmp_path, "Blue")

    question = {"question": "Which colour?", "options": ["Red", "Blue"], "blocking": True}
    assert asked == [{"tool": "ask_user_question", "arguments": question}]
    assert ran.texts == ["Chosen: blue. I read: choose in workspace"]


def test_an_action_that_may_be_allowed_always_is_no_question(tmp_path: Path) -> None:
    """OpenHands offers two ways to allow each of its actions once."""
    ran, asked = _chooses(tmp_path, "Reject", "confirm")

    assert asked == []
    assert ran.texts == ["Chosen: accept. I read: confirm in workspace"]


def test_an_answer_in_words_is_told_to_an_agent_that_offered_a_choice(tmp_path: Path) -> None:
    ran, asked = _chooses(tmp_path, "Green, please.")

    assert len(asked) == 1
    assert ran.texts == ["I read: You asked: Which colour?\n\nGreen, please. in workspace"]
    assert ran.classified is not None
    assert ran.classified.ending is Ending.DONE


def test_nothing_is_chosen_where_nobody_can_be_asked(tmp_path: Path) -> None:
    ran, _ = _chooses(tmp_path, None)

    assert ran.texts == ["Chosen: skip. I read: choose in workspace"]


def test_an_interruption_ends_the_wait_for_a_choice(tmp_path: Path) -> None:
    driver, path = AcpDriver(), tmp_path / "t.sock"
    work = replace(_work(tmp_path, "choose", TOY), tools=tool_server(path))
    command = driver.command(work)
    with socket.socket(socket.AF_UNIX) as desk:
        desk.bind(str(path))
        desk.listen()
        desk.settimeout(PATIENCE_SECONDS)

        def interrupt(event: Event, process: subprocess.Popen[str]) -> None:
            if isinstance(event, ToolCall):
                asked, _ = desk.accept()
                with asked, asked.makefile("rb") as lines:
                    assert b"Which colour?" in lines.readline()
                    assert process.stdin is not None
                    assert command.interrupt is not None
                    process.stdin.write(command.interrupt())
                    process.stdin.flush()
                    asked.settimeout(PATIENCE_SECONDS)
                    assert lines.readline() == b"", "the question is given up"

        ran = run_program(driver, work, on_event=interrupt)

    assert ran.end == End(False, "The turn ended: cancelled")


def test_a_loaded_session_is_not_told_again(tmp_path: Path) -> None:
    assert _acp(tmp_path, "hello", resume="s-1").texts == ["I read: hello in workspace"]


@pytest.mark.parametrize("session", ["s-1", "forgotten"])
def test_a_session_that_was_loaded_without_its_content_is_not_there(session: str, tmp_path: Path) -> None:
    """As Qwen Code loads a session that it does not have: as an empty one."""
    ran = _acp(tmp_path, "go on", resume=session)

    assert ran.classified is not None
    if session == "s-1":
        assert (ran.classified.ending, ran.texts) == (Ending.DONE, ["I read: go on in workspace"])
    else:
        assert (ran.classified.ending, ran.texts) == (Ending.BROKEN, [])
        assert "No conversation found" in ran.classified.reason


def test_lines_that_are_no_protocol_do_no_harm(tmp_path: Path) -> None:
    assert _acp(tmp_path, "garbage").texts == ["I read: garbage in workspace"]


def test_an_answer_that_the_protocol_does_not_have_is_named(tmp_path: Path) -> None:
    ran = _acp(tmp_path, "newer")

    assert ran.classified is not None
    assert ran.classified.ending is Ending.BROKEN
    assert ran.classified.reason.startswith(
        "The program failed: the program's answer is not as the protocol has it: PromptResponse.stopReason: "
    )
    assert ran.stderr == ""


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


def test_a_crash_is_seen_though_a_child_of_the_program_lives_on(tmp_path: Path) -> None:
    """The child holds the program's standard output, which has no end then."""
    crashed = run_program(AcpDriver(), _work(tmp_path, "orphan, crash", TOY), longest_seconds=60).classified

    assert crashed is not None
    assert "in the middle of its work (exit code 7)" in crashed.reason


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    ran = run_program(AcpDriver(), _work(tmp_path, "hello", ("/nowhere/agent",)))
    assert ran.classified is not None
    assert ran.classified.reason == "The program failed: /nowhere/agent can't be started: No such file or directory"


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


def test_what_an_agent_said_when_it_was_stopped_is_told(tmp_path: Path) -> None:
    assert _acp(tmp_path, "stop").texts == ["The test hangs"]


def test_what_the_agent_says_is_no_error_of_its_provider(tmp_path: Path) -> None:
    """A turn that is cut off is no refusal of the provider, whatever the agent was writing about."""
    ran = _acp(tmp_path, "authentication, a quota and a budget, too long")

    assert ran.texts == ["I read: authentication, a quota and a budget, too long in workspace"]
    assert ran.classified is not None
    assert ran.classified == Classified(Ending.BROKEN, "The program failed: The turn ended: max_tokens")


def test_an_interruption_that_comes_after_its_turn_does_not_end_the_next(tmp_path: Path) -> None:
    driver, work = AcpDriver(), _work(tmp_path, "first", TOY)
    command = driver.command(work)
    ends: list[Event] = []

    def send(event: Event, process: subprocess.Popen[str]) -> None:
        if isinstance(event, End) and not ends:
            ends.append(event)
            assert process.stdin is not None
            assert command.message is not None
            assert command.interrupt is not None
            process.stdin.write(command.interrupt() + command.message("permission"))
            process.stdin.flush()

    ran = run_program(driver, work, on_event=send)

    assert ran.texts == ["I read: first in workspace", "I read: permission in workspace"]
    assert ran.classified is not None
    assert ran.classified.ending is Ending.DONE


def test_a_command_gets_its_prompt_where_its_template_says(tmp_path: Path) -> None:
    show = 'echo "argument: $1"; echo "file: $(cat "$2")"; echo "in: $(cat)"; echo "$OPENAI_BASE_URL $OPENAI_API_KEY"'
    shell = ("sh", "-c", show, "sh")

    both = run_program(CommandDriver(), _work(tmp_path, "do {workspace}", (*shell, "{prompt}", "{prompt_file}")))
    neither = run_program(CommandDriver(), _work(tmp_path, "do it", (*shell, "{workspace}", "/dev/null")))

    assert both.texts == ["argument: do {workspace}", "file: do {workspace}", "in: ", "http://127.0.0.1:9/v1 awm_token"]
    assert neither.texts[0] == f"argument: {tmp_path / 'workspace'}"
    assert neither.texts[2] == "in: do it"


def test_a_prompt_too_long_for_an_argument_is_left_in_its_file(tmp_path: Path) -> None:
    long = "word " * 50_000
    ran = run_program(
        CommandDriver(),
        _work(tmp_path, long, ("sh", "-c", 'echo "$1"; wc -c < "$2"', "sh", "{prompt}", "{prompt_file}")),
    )

    assert ran.texts[0].startswith("Your task is in the file ")
    assert int(ran.texts[1]) == len(long)


def test_a_command_fails_by_its_exit_code(tmp_path: Path) -> None:
    ran = run_program(CommandDriver(), _work(tmp_path, "x", ("sh", "-c", "echo out; echo why >&2; exit 3")))
    assert ran.classified is not None
    assert (ran.classified.ending, ran.classified.reason) == (Ending.BROKEN, "The command exited with 3: why.")


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


@pytest.mark.parametrize(
    ("driver", "setting"), [(AcpDriver(), "AIWORKER_AGENT_ACP_COMMAND"), (CommandDriver(), "AIWORKER_AGENT_COMMAND")]
)
def test_a_command_may_stand_in_a_file(
    driver: AcpDriver | CommandDriver, setting: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(setting, raising=False)
    monkeypatch.setenv(f"{setting}_FILE", str(tmp_path / "command"))
    assert driver.check().says == f"{setting}_FILE={tmp_path}/command can't be read: No such file or directory"

    (tmp_path / "command").write_text("sh -c 'exit 1'\n")
    assert driver.check().can_work
    assert template_of(setting) == ("sh", "-c", "exit 1")
