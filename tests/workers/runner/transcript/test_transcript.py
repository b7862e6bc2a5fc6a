"""The run's transcript: bounds, joined calls and results, diffs of edits, and nothing secret."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from common.errors import ProviderRefused
from workers.runner.drivers.program import End, Event, Note, Plan, SessionStarted, Text, Thinking, ToolCall, ToolResult
from workers.runner.platform_client.client import Json, fit
from workers.runner.transcript.edit_diffs import diff_of
from workers.runner.transcript.reports import LONGEST_ENTRY, RunLog
from workers.runner.transcript.transcript import Transcript


class Receiver:
    """Stands for the platform's side of a log: it keeps what is sent."""

    run_id = "run-1"

    def __init__(self, refused: Collection[str] = ()) -> None:
        self.lines: list[Json] = []
        self.calls = 0
        self._refused = refused

    def send_logs(self, lines: Sequence[Json]) -> None:
        self.calls += 1
        if any(line["message"] in self._refused for line in lines):
            raise ProviderRefused("400 as told")
        self.lines += lines


def written(workspace: Path, *events: Event, secrets: Sequence[str] = ()) -> list[dict[str, Any]]:
    receiver = Receiver()
    with RunLog(receiver, on_over=lambda _: None, secrets=secrets) as log:  # type: ignore[arg-type]
        transcript = Transcript(log, program="claude", workspace=workspace)
        transcript.next_process()
        for event in events:
            transcript.write(event)
        transcript.next_process()
        transcript.write(ToolCall("c-1", "Again", {}))
    assert receiver.lines[-1]["callId"] == "2:c-1"
    assert [line["number"] for line in receiver.lines] == list(range(1, len(receiver.lines) + 1))
    return receiver.lines[:-1]


def test_every_kind_of_event_is_an_entry(tmp_path: Path) -> None:
    lines = written(
        tmp_path,
        SessionStarted("s-1", "opus", "the tools failed"),
        Thinking("hm\nhm"),
        Text("Hello\n\nworld"),
        Plan((("one", True), ("two", False))),
        Note("tried again"),
        ToolResult("unknown", False, "no"),
        End(False, "overloaded"),
        End(True, "fine"),
    )
    assert [(it["kind"], it["level"], it["message"]) for it in lines] == [
        ("log", "info", "claude session s-1, opus"),
        ("log", "warn", "claude works without the platform's tools: the tools failed"),
        ("thinking", "info", "hm\nhm"),
        ("text", "info", "Hello\n\nworld"),
        ("plan", "info", "1 of 2 steps are done"),
        ("log", "info", "tried again"),
        ("result", "error", "no"),
        ("log", "warn", "overloaded"),
    ]
    assert lines[4]["details"] == {"steps": [{"text": "one", "done": True}, {"text": "two", "done": False}]}
    assert lines[6]["details"] == {"ok": False}


def test_long_texts_are_several_entries_and_long_results_lose_their_middle(tmp_path: Path) -> None:
    text = "abcdefghij" * 4000
    first, second, third, result = written(tmp_path, Text(text), ToolResult("c", True, text))
    assert "".join(it["message"] for it in (first, second, third)) == text
    assert len(result["message"]) <= LONGEST_ENTRY
    assert "characters left out" in result["message"]
    assert result["message"].startswith("abcdefghij")
    assert result["message"].endswith("abcdefghij")


def test_secrets_are_masked_wherever_they_stand(tmp_path: Path) -> None:
    secret = "tok-1234567890"
    call = ToolCall("c", "Bash", {"command": f"curl -H {secret}", "deep": [{"a": secret}], secret: "key"})
    lines = written(tmp_path, Text(f"it is {secret}"), call, ToolResult("c", True, secret), secrets=[secret])
    assert secret not in json.dumps(lines)
    assert lines[1]["details"]["deep" if False else "command"] == "curl -H ***"


def test_only_the_entries_that_the_platform_refuses_are_left_out(tmp_path: Path) -> None:
    receiver = Receiver(refused={"3", "77"})
    with RunLog(receiver, on_over=lambda _: None, secrets=()) as log:  # type: ignore[arg-type]
        for number in range(100):
            log.add("log", str(number))
    assert [line["number"] for line in receiver.lines] == list(range(1, 101))
    assert [line["message"] for line in receiver.lines if line["level"] == "warn"] == [
        "An entry was refused: 400 as told"
    ] * 2
    assert [line["message"] for line in receiver.lines if line["level"] == "info"] == [
        str(number) for number in range(100) if number not in {3, 77}
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        {"file_path": "W/src/a.py", "old_string": "b\nc", "new_string": "b\nC", "replace_all": False},
        {"file_path": "W/src/a.py", "edits": [{"old_string": "c", "new_string": "C"}]},
    ],
)
def test_an_edit_is_shown_as_a_diff_at_its_lines(tmp_path: Path, arguments: dict[str, Any]) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("a\nb\nc\nd\n")
    place = {key: value.replace("W", str(tmp_path)) if isinstance(value, str) else value
             for key, value in arguments.items()}  # fmt: skip
    before = str(diff_of(place, tmp_path))
    (tmp_path / "src" / "a.py").write_text("a\nb\nC\nd\n")
    after = str(diff_of(place, tmp_path))
    for diff in (before, after):
        names, (hunk, *lines) = diff.splitlines()[:2], diff.splitlines()[2:]
        assert names == ["--- a/src/a.py", "+++ b/src/a.py"]
        assert [line for line in lines if line[0] in "+-"] == ["-c", "+C"]
        first = int(hunk.split(" ")[1][1:].split(",")[0])
        assert first + [line[0] for line in lines].index("-") == 3


def test_a_diff_reads_nothing_outside_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("one\ntwo\nthree\n")
    workspace = tmp_path / "w"
    workspace.mkdir()
    (workspace / "link").symlink_to(tmp_path / "secret")
    for path in ("../secret", "link", str(tmp_path / "secret")):
        diff = str(diff_of({"path": path, "old_string": "three", "new_string": "x"}, workspace))
        assert "@@ -1 +1 @@" in diff, path


def test_what_no_database_keeps_is_left_out() -> None:
    kept = {"lines": [{"message": "ab?c\x1b[1m"}], "done": 1}
    assert fit({"lines": [{"message": "a\0b\ud800c\x1b[1m"}], "done": 1}) == kept
