"""Kept sessions, laid out for another workspace."""

from __future__ import annotations

import json
from pathlib import Path

from workers.runner.drivers.program import Command, Work
from workers.runner.drivers.qwen import QwenDriver
from workers.runner.programs import sessions
from workers.runner.programs.program_turn import lay_out


def _begin(home: Path, workspace: Path) -> Command:
    """Start Qwen Code in this workspace, to go on with the session s1."""
    command = QwenDriver().command(Work("Go on.", workspace, home, "s1", None, None, "qwen"))
    lay_out(home, command)
    return command


def _say(home: Path, workspace: Path, text: str) -> None:
    """Add a record to the session, as Qwen Code does."""
    chats = home / ".qwen/projects" / str(workspace).replace("/", "-") / "chats"
    chats.mkdir(parents=True, exist_ok=True)
    with (chats / "s1.jsonl").open("a") as file:
        file.write(json.dumps({"cwd": str(workspace), "text": text}) + "\n")


def _said(home: Path, workspace: Path) -> list[str]:
    """What Qwen Code knows when it goes on with the session in this workspace."""
    chats = home / ".qwen/projects" / str(workspace).replace("/", "-") / "chats"
    records = [json.loads(line) for line in (chats / "s1.jsonl").read_text().splitlines()]
    return [record["text"] for record in records if record["cwd"] == str(workspace)]


def test_a_session_of_qwen_code_goes_on_where_its_last_run_ended(tmp_path: Path) -> None:
    archive, texts = None, ["first", "second", "third", "fourth"]
    for number, text in enumerate(texts):
        home, workspace = tmp_path / f"home-{number}", Path(f"/runs/{number}/repository")
        home.mkdir()
        if archive is not None:
            assert sessions.unpack(archive, home, driver="qwen") is not None
        command = _begin(home, workspace)
        _say(home, workspace, text)
        archive = sessions.pack(home, driver="qwen", round_number=1, head_sha="", kept=command.kept)

        assert _said(home, workspace) == texts[: number + 1]
