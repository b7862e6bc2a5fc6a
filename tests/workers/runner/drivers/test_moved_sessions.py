"""Kept sessions, laid out for another workspace."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

from workers.runner import sessions
from workers.runner.drivers.moved_sessions import LONGEST_SESSION_BYTES, qwen_files
from workers.runner.drivers.program import Command, Work
from workers.runner.drivers.qwen import QwenDriver
from workers.runner.program_turn import lay_out

NEW = Path("/new/run/repository")


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


def test_a_session_of_qwen_code_that_is_here_already_stays_as_it_is(tmp_path: Path) -> None:
    """A second process of a run, such as after a message."""
    _say(tmp_path, Path("/old/run/repository"), "before")
    _begin(tmp_path, NEW)
    _say(tmp_path, NEW, "in this run")

    _begin(tmp_path, NEW)

    assert _said(tmp_path, NEW) == ["before", "in this run"]


def test_of_sessions_of_several_runs_the_last_one_is_moved(tmp_path: Path) -> None:
    """Archives of earlier versions have the files of all runs."""
    for number, name in enumerate(["c", "a", "b"]):
        folder = Path(f"/runs/{name}/repository")
        _say(tmp_path, folder, name)
        at = 1_700_000_000 + number
        os.utime(tmp_path / ".qwen/projects" / f"-runs-{name}-repository" / "chats/s1.jsonl", (at, at))

    _begin(tmp_path, NEW)

    assert _said(tmp_path, NEW) == ["b"]


def test_a_session_of_qwen_code_keeps_each_record_whatever_is_in_its_texts(tmp_path: Path) -> None:
    chats = tmp_path / ".qwen/projects/-old-run-repository/chats"
    chats.mkdir(parents=True)
    texts = ["plain", "a\u2028b\u2029c", "d\x85e", "f\x0bg\x0ch", "end"]
    records = [{"uuid": str(number), "cwd": "/old/run/repository", "text": text} for number, text in enumerate(texts)]
    # As JavaScript writes it: these characters stand for themselves.
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    (chats / "s1.jsonl").write_text("".join(f"{line}\n" for line in [*lines, '{"half": "of a'])[:-1])

    files = qwen_files(tmp_path, NEW, "s1")

    assert list(files) == [".qwen/projects/-new-run-repository/chats/s1.jsonl"]
    (content,) = files.values()
    *moved, rest = content.split("\n")
    assert [json.loads(line) for line in moved] == [{**record, "cwd": str(NEW)} for record in records]
    assert rest == '{"half": "of a'


def test_a_session_that_would_fill_the_memory_is_not_moved(tmp_path: Path) -> None:
    chats = tmp_path / ".qwen/projects/-old-run-repository/chats"
    chats.mkdir(parents=True)
    with (chats / "s1.jsonl").open("wb") as file:
        file.truncate(LONGEST_SESSION_BYTES + 1)
    tracemalloc.start()
    try:
        assert qwen_files(tmp_path, NEW, "s1") == {}
        _kept_bytes, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < 100 * 2**20
