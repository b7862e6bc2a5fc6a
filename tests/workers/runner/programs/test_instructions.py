"""What the runner puts into a prompt: the repository's instructions, code around a comment, paths of attachments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.values.runs.prompt_markers import REPOSITORY_INSTRUCTIONS, code_marker
from workers.runner.programs.instructions import code_around, fill, repository_instructions


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    clone = tmp_path / "clone"
    (clone / ".git").mkdir(parents=True)
    (clone / ".git" / "config").write_text("password = secret\n")
    (clone / "app.py").write_text("".join(f"line {number}\n" for number in range(1, 31)))
    return clone


def test_each_instruction_file_stands_under_its_path(workspace: Path) -> None:
    (workspace / "AGENTS.md").write_text("Use tabs.\r\n")
    (workspace / ".github").mkdir()
    (workspace / ".github" / "copilot-instructions.md").write_text("Be kind.\x1b[31m\n")
    (workspace / ".cursor" / "rules").mkdir(parents=True)
    (workspace / ".cursor" / "rules" / "style.mdc").write_text("Short names.")

    assert fill(f"Do it\n\n{REPOSITORY_INSTRUCTIONS}\n\nNow", workspace) == (
        "Do it\n\n# The repository's own instructions\n\n## AGENTS.md\n\nUse tabs.\n\n"
        "## .github/copilot-instructions.md\n\nBe kind.\n\n## .cursor/rules/style.mdc\n\nShort names.\n\nNow"
    )


def test_a_link_inside_of_the_clone_is_read_once_and_one_out_of_it_never(workspace: Path) -> None:
    (workspace / "AGENTS.md").write_text("Use tabs.")
    (workspace / "CLAUDE.md").symlink_to("AGENTS.md")
    outside = workspace.parent / "secret.md"
    outside.write_text("the host's secret")
    (workspace / "GEMINI.md").symlink_to(outside)
    (workspace / "QWEN.md").symlink_to(".git/config")
    (workspace / ".claude").symlink_to(workspace.parent)
    (workspace.parent / "CLAUDE.md").write_text("the host's secret")
    os.mkfifo(workspace / ".cursorrules")
    (workspace / ".clinerules").mkdir()
    (workspace / ".windsurfrules").symlink_to(".windsurfrules")

    assert repository_instructions(workspace) == "# The repository's own instructions\n\n## AGENTS.md\n\nUse tabs."


def test_code_is_shown_around_its_line(workspace: Path) -> None:
    text = fill(f"app.py:12: Why?\n{code_marker('app.py', 12)}\nEnd", workspace)

    lines = text.split("\n")
    assert lines[:2] == ["app.py:12: Why?", "```"]
    assert lines[2:13] == [f"{'>' if number == 12 else ' '} {number:>2} line {number}" for number in range(7, 18)]
    assert lines[13:] == ["```", "End"]
    assert code_around(workspace, "app.py", 30).splitlines()[-2] == "> 30 line 30"
    assert code_around(workspace, "app.py", 1).splitlines()[1] == "> 1 line 1"


def test_code_is_that_of_the_commit_that_the_remark_is_about(workspace: Path) -> None:
    marker = code_marker("app.py", 2, commit_sha="a" * 40)

    elsewhere = fill(marker, workspace, committed=lambda commit, path: f"{path} at {commit[:2]}\nsecond\n")
    same = fill(marker, workspace, committed=lambda _commit, _path: None)
    gone = fill(f"Before\n{marker}\nAfter", workspace, committed=lambda _commit, _path: "")

    assert elsewhere == "At commit aaaaaaaaaaaa:\n```\n  1 app.py at aa\n> 2 second\n```"
    assert same == code_around(workspace, "app.py", 2)
    assert gone == "Before\nAfter"


@pytest.mark.parametrize(
    ("path", "line"),
    [("app.py", 0), ("app.py", 31), ("gone.py", 1), ("../secret.md", 1), (".git/config", 1), ("a\0b", 1), ("out", 1)],
)  # fmt: skip
def test_where_there_is_no_such_line_nothing_is_shown(workspace: Path, path: str, line: int) -> None:
    (workspace.parent / "secret.md").write_text("the host's secret")
    (workspace / "out").symlink_to(workspace.parent / "secret.md")
    assert code_around(workspace, path, line) == ""
    assert fill(f"Before\n{code_marker(path, line)}\nAfter", workspace) == "Before\nAfter"


def test_attachments_get_their_folder_and_vanish_without_one(workspace: Path) -> None:
    prompt = "Files:\n- {attachments}/a.png (image/png, 3 bytes)\nUse {attachments}/ in the template."
    assert fill(prompt, workspace, attachments=Path("/run/files")) == (
        "Files:\n- /run/files/a.png (image/png, 3 bytes)\nUse {attachments}/ in the template."
    )
    assert fill(prompt, workspace) == "Files:\nUse {attachments}/ in the template."
