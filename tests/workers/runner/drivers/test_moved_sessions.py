"""Kept sessions, laid out for another workspace."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

from workers.runner.drivers.moved_sessions import LONGEST_SESSION_BYTES, qwen_files

NEW = Path("/new/run/repository")


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
