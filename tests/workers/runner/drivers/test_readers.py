"""What the readers make of lines that the real CLIs printed (recorded), of errors, and of garbage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.doubles import coding_story
from workers.runner.drivers.claude import ClaudeReader
from workers.runner.drivers.command import CommandReader
from workers.runner.drivers.gemini import GeminiReader
from workers.runner.drivers.program import (
    End,
    Ending,
    Event,
    Exit,
    Reader,
    SessionStarted,
    Text,
    ToolCall,
    ToolResult,
)
from workers.runner.drivers.programs import PROGRAM_DRIVERS

RECORDED = Path(__file__).parent / "recorded"
READERS = sorted(PROGRAM_DRIVERS)
GARBAGE = (
    "\0\x1b[31m\ufffd",
    "{",
    "null",
    '{"type": ["result"]}',
    '{"type": "assistant", "message": {"content": [null, 1, {"type": "tool_use"}, {"type": "text", "text": 5}]}}',
    '{"type": "item.completed", "item": {"type": "mcp_tool_call", "arguments": 4, "result": {"content": 4}}}',
    '{"event": "plan", "steps": [1, [], ["a"]]}',
    "[" * 100_000,
)


def _read(reader: Reader, *lines: object) -> list[Event]:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    return [event for line in texts for event in reader.read(line)]


@pytest.mark.parametrize("name", ["claude", "codex", "gemini"])
def test_a_recorded_run_is_read_completely_and_in_order(name: str) -> None:
    events = _read(PROGRAM_DRIVERS[name]().reader(), *(RECORDED / f"{name}.jsonl").read_text().splitlines())

    kinds = [type(event).__name__ for event in events]
    assert kinds == ["SessionStarted", *["Text", "ToolCall", "ToolResult"] * 4, "Text", "End"]
    calls = [event for event in events if isinstance(event, ToolCall)]
    results = [event for event in events if isinstance(event, ToolResult)]
    assert [call.id for call in calls] == [result.id for result in results]
    assert all(result.ok for result in results)
    assert "Yes, floats too." in results[1].text
    assert "ask_user_question" in calls[1].name
    assert coding_story.QUESTION in str(calls[1].input)
    assert "Fix add()" in results[3].text
    assert events[-1] == End(True, coding_story.DONE)


@pytest.mark.parametrize("name", READERS)
def test_garbage_never_raises(name: str) -> None:
    for line in GARBAGE:
        reader = PROGRAM_DRIVERS[name]().reader()
        assert not any(isinstance(event, Text) for event in reader.read(line)) or name == "command"
        assert reader.classify(Exit(1, line, None, False)).ending in (Ending.BROKEN, Ending.REFUSED)


def test_claude_says_that_the_platforms_tools_are_missing() -> None:
    init = {"type": "system", "subtype": "init", "session_id": "s-1", "model": "m"}
    down = {**init, "mcp_servers": [{"name": "aiworker", "status": "failed"}]}

    assert _read(ClaudeReader("Claude"), init) == [SessionStarted("s-1", "m")]
    assert _read(ClaudeReader("Claude"), down) == [SessionStarted("s-1", "m", "the platform's tools are failed")]


def test_claude_says_success_and_means_an_error() -> None:
    reader = ClaudeReader("Claude Code")
    said = "Failed to authenticate. API Error: 401 invalid x-api-key"
    (end,) = _read(reader, {"type": "result", "subtype": "success", "is_error": True, "result": said})

    assert end == End(False, said)
    assert isinstance(end, End)
    assert reader.classify(Exit(1, "", end, False)).ending is Ending.REFUSED


def test_geminis_pieces_of_text_are_one_text() -> None:
    pieces = [{"type": "message", "role": "assistant", "content": piece, "delta": True} for piece in ("Do", "ne.")]
    events = _read(GeminiReader(), *pieces, {"type": "result", "status": "success"})
    assert events == [Text("Done."), End(True, "Done.")]


def test_a_command_is_judged_by_its_exit_code() -> None:
    assert _read(CommandReader(), "one", "", "two") == [Text("one"), Text("two")]
    assert CommandReader().classify(Exit(0, "", None, False)).ending is Ending.DONE
    assert CommandReader().classify(Exit(0, "", None, True)).ending is Ending.QUESTION
    assert CommandReader().classify(Exit(2, "it broke", None, False)).reason == "The command exited with 2: it broke."
