"""Completes a prompt of the platform by what only the clone knows: the repository's own instructions, and code.

Everything is read from the work tree. Nothing outside of it is read, whatever its symbolic links point to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from common.machine.text import plain
from common.values.json_codec import decode
from common.values.runs.prompt_markers import ATTACHMENTS, CODE_LINE, REPOSITORY_INSTRUCTIONS, SUGGESTION, Suggestion
from workers.runner.workspace.files import list_inside, read_inside
from workers.runner.workspace.suggestions import as_text, longest_run

INSTRUCTION_FILES = (
    "AGENTS.md",
    "CLAUDE.md",
    ".claude/CLAUDE.md",
    "GEMINI.md",
    "QWEN.md",
    ".cursorrules",
    ".windsurfrules",
    ".clinerules",
    ".github/copilot-instructions.md",
    ".junie/guidelines.md",
)
"""Where coding CLIs look for a repository's instructions. One with the same text as an earlier one is left out."""
CURSOR_RULES = ".cursor/rules"
MOST_RULES = 50
MOST_INSTRUCTION_BYTES = 64 * 2**10
"""Of all instructions together."""
MOST_SOURCE_BYTES = 4 * 2**20
"""A larger file is not searched for a line."""
LINES_AROUND = 5
MOST_MARKED = 60
"""Lines of a range that are shown."""
LONGEST_LINE = 300


Committed = Callable[[str, str], str | None]
"""From a commit and a path to the text of the file there; None: the work tree is at this commit."""


def fill(
    prompt: str, workspace: Path, *, attachments: Path | None = None, committed: Committed = lambda _commit, _path: None
) -> str:
    """Return the prompt with its marked lines replaced. attachments: the folder of the task's files; None: none is
    there, and their lines are left out.

    Lines of which no commit is named are read from the work tree, so it must be at the commit that the prompt is about.
    Never raises for what the repository contains.
    """
    filled = (_filled(line, workspace, attachments, committed) for line in prompt.split("\n"))
    return "\n".join(line for line in filled if line is not None)


def _filled(line: str, workspace: Path, attachments: Path | None, committed: Committed) -> str | None:
    """What takes the place of the line; None: nothing does."""
    if line == REPOSITORY_INSTRUCTIONS:
        return repository_instructions(workspace) or None
    if line.startswith(ATTACHMENTS):
        return None if attachments is None else f"- {attachments}/{line.removeprefix(ATTACHMENTS)}"
    marked = CODE_LINE.fullmatch(line)
    if marked is not None:
        return _code(workspace, marked, committed) or None
    suggested = SUGGESTION.fullmatch(line)
    if suggested is not None:
        try:
            return _change(decode(Suggestion, json.loads(suggested[1])), workspace, committed)
        except (ValueError, RecursionError):
            return line
    return line


def _code(workspace: Path, marked: re.Match[str], committed: Committed) -> str:
    """The marked lines; above them the commit, if it is not that of the work tree. Empty if there are no such lines."""
    path, first, line, commit = marked[1], marked[2], int(marked[3]), marked[4]
    text = None if commit is None else committed(commit, path)
    code = code_around(workspace, path, line, first=None if first is None else int(first), text=text)
    return f"At commit {commit[:12]}:\n{code}" if code and text is not None else code


def _change(suggestion: Suggestion, workspace: Path, committed: Committed) -> str:
    """The suggested change as a patch; if there are no such lines, as it was written."""
    text = committed(suggestion.commit_sha, suggestion.path) if suggestion.commit_sha is not None else None
    if text is None:
        content = _read(workspace, suggestion.path, MOST_SOURCE_BYTES + 1) or b""
        text = "" if len(content) > MOST_SOURCE_BYTES else content.decode("utf-8", "replace")
    return as_text(suggestion, [f"{line}\n" for line in text.split("\n")[:-1]] + _rest(text))


def _rest(text: str) -> list[str]:
    """The last line, if it has no end."""
    last = text.split("\n")[-1]
    return [last] if last else []


def repository_instructions(workspace: Path) -> str:
    """The text of the repository's instruction files, each under its path, at most MOST_INSTRUCTION_BYTES; empty if
    there are none.
    """
    left = MOST_INSTRUCTION_BYTES
    told: set[bytes] = set()
    parts: list[str] = []
    for path in (*INSTRUCTION_FILES, *_cursor_rules(workspace)):
        content = _read(workspace, path, left + 1) if left > 0 else None
        if content is None or not content.strip() or content.strip() in told:
            continue
        told.add(content.strip())
        text = plain(content[:left]).strip()
        cut = f"\n\n… cut: read the rest in {path}" if len(content) > left else ""
        parts.append(f"## {path}\n\n{text}{cut}")
        left -= len(content)
    return "\n\n".join(["# The repository's own instructions", *parts]) if parts else ""


def _cursor_rules(workspace: Path) -> Iterator[str]:
    names = list_inside(workspace, CURSOR_RULES)
    yield from [f"{CURSOR_RULES}/{name}" for name in names if name.endswith((".mdc", ".md"))][:MOST_RULES]


def code_around(
    workspace: Path, path: str, line: int, *, first: int | None = None, text: str | None = None
) -> str:  # fmt: skip
    """The lines of a file around this one (counted from 1), as a code block; empty if there is no such line.

    first: the first line of a range that ends at `line`; of a long one, the first MOST_MARKED are shown. text: the
    file's; None: it is read from the work tree.
    """
    content = _read(workspace, path, MOST_SOURCE_BYTES + 1) if text is None else text.encode("utf-8", "replace")
    if content is None or len(content) > MOST_SOURCE_BYTES:
        return ""
    lines = plain(content).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if not 1 <= line <= len(lines):
        return ""
    begin = line if first is None else min(max(1, first), line)
    end = min(line, begin + MOST_MARKED - 1)
    last = min(len(lines), end + LINES_AROUND)
    width = len(str(last))
    shown = [
        f"{'>' if begin <= number <= end else ' '} {number:>{width}} {lines[number - 1][:LONGEST_LINE]}".rstrip()
        for number in range(max(1, begin - LINES_AROUND), last + 1)
    ]
    fence = "`" * max(3, 1 + max(longest_run(text) for text in shown))
    return "\n".join([fence, *shown, fence])


def _read(workspace: Path, path: str, most_bytes: int) -> bytes | None:
    """The beginning of a regular file of the work tree, None if there is none at this path.

    Links are followed, but not out of the work tree and not into git's own files.
    """
    return read_inside(workspace, path, most_bytes, without=".git")
