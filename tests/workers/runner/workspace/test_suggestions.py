"""A reviewer's suggestion becomes a patch that git applies."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.services.conversation.suggestions import with_suggestions
from common.values.runs.claimed_run import FeedbackComment
from common.values.runs.prompt_markers import Suggestion, suggestion_marker
from tests.providers.git_work_tree import git
from workers.runner.programs.instructions import fill
from workers.runner.workspace.suggestions import patches_of

LINES = "".join(f"line {number}\n" for number in range(1, 13))


def filled(workspace: Path, suggestion: Suggestion, committed: str | None = None) -> str:
    return fill(f"Before\n{suggestion_marker(suggestion)}\nAfter", workspace, committed=lambda _sha, _path: committed)


@pytest.mark.parametrize(
    ("content", "first", "last", "text", "wanted"),
    [
        (LINES, 5, 6, "five\n", LINES.replace("line 5\nline 6\n", "five\n")),
        (LINES, 12, 12, "twelve\nthirteen\n", LINES.replace("line 12\n", "twelve\nthirteen\n")),
        ("only", 1, 1, "one\n", "one"),
        ("a\r\nb\r\nc\r\n", 2, 2, "B\n\nBB\n", "a\r\nB\r\n\r\nBB\r\nc\r\n"),
        ("a\n", 1, 1, "", ""),
    ],
)
def test_git_applies_the_patch(tmp_path: Path, content: str, first: int, last: int, text: str, wanted: str) -> None:
    git("init", "--quiet", str(tmp_path))
    file = tmp_path / "a file.py"
    file.write_bytes(content.encode())

    told = filled(tmp_path, Suggestion("a file.py", first, last, text))

    (patch,) = patches_of(told)
    assert told.startswith("Before\nApply this change with `git apply`, or say why not:\n```")
    assert told.endswith("\nAfter")
    (tmp_path / "the.patch").write_bytes(patch.encode())
    git("apply", "--whitespace=nowarn", "the.patch", at=tmp_path)
    assert (file.read_bytes().decode() if file.exists() else "") == wanted


@pytest.mark.parametrize(("first", "last", "text"), [(13, 13, "x\n"), (0, 1, "x\n"), (4, 3, "x\n"), (3, 3, "line 3\n")])
def test_without_such_lines_it_stays_as_it_was_written(tmp_path: Path, first: int, last: int, text: str) -> None:
    (tmp_path / "app.py").write_text(LINES)
    told = filled(tmp_path, Suggestion("app.py", first, last, text))
    assert told == f"Before\n```suggestion\n{text}```\nAfter"


def test_lines_are_those_of_the_commit_that_was_reviewed(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("a new line\n" + LINES)
    suggestion = Suggestion("app.py", 2, 2, "two\n", "a" * 40)
    assert "-line 2\n+two\n" in filled(tmp_path, suggestion, committed=LINES)
    assert "-line 1\n+two\n" in filled(tmp_path, suggestion)


def test_only_closed_blocks_on_new_lines_are_suggestions() -> None:
    comment = FeedbackComment("1", "", "a.py", 4, 2, "new", "a" * 40)
    body = "So:\r\n~~~~suggestion\n```\nx\n~~~~\n```python\n```suggestion\n```\n```suggestion\nopen"
    marker = suggestion_marker(Suggestion("a.py", 2, 4, "```\nx\n", "a" * 40))
    assert with_suggestions(body, comment) == f"So:\n{marker}\n```python\n```suggestion\n```\n```suggestion\nopen"
    for other in (None, FeedbackComment("1", ""), FeedbackComment("1", "", "a.py", 4, None, "old")):
        assert with_suggestions(body, other) == body
