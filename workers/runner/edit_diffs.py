"""Unified diffs from what coding CLIs say of their edits, for people to read. Pure but for reading the edited file.

Every CLI names its fields otherwise: the old and the new text, the whole new content, a list of such edits, or a ready
diff. Where none is known there is no diff.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

from workers.runner.workspace_files import read_inside

LONGEST_DIFF = 30_000
_PATHS = ("file_path", "filePath", "path", "absolute_path", "notebook_path", "filename")
_OLD = ("old_string", "oldString", "old_str", "oldText", "old_text")
_NEW = ("new_string", "newString", "new_str", "newText", "new_text")
_WHOLE = ("content", "contents", "file_text")
_READY = ("diff", "patch", "unified_diff")
_MOST_LINES = 2000
_LARGEST_FILE = 2**20


def diff_of(arguments: Mapping[str, object], workspace: Path) -> str | None:
    """Return the edit that a tool's input describes; None if it describes none.

    Line numbers are those of the file in the workspace, before or after the edit, where it can be read; else from 1.
    """
    path = _text(arguments, _PATHS)
    ready = _text(arguments, _READY)
    if ready is not None and "@@" in ready:
        return cut_diff(ready)
    if (changes := arguments.get("changes")) and isinstance(changes, list | tuple):
        diffs = [diff_of(one, workspace) for one in changes if isinstance(one, Mapping)]
        return cut_diff("".join(filter(None, diffs))) or None
    if path is None:
        return None
    edits = list(_edits(arguments))
    if not edits:
        return None
    name = name_in(path, workspace)
    present = present_text(workspace, name)
    hunks = [hunk for old, new in edits if (hunk := _hunks(old, new, present))]
    if not hunks:
        return None
    is_new = all(old == "" for old, _ in edits) and not present
    return cut_diff("".join([f"--- {'/dev/null' if is_new else 'a/' + name}\n", f"+++ b/{name}\n", *hunks]))


def diff_of_texts(name: str, before: str, after: str) -> str:
    """The diff of a whole file; empty if nothing differs."""
    if before == after:
        return ""
    old, new = ("a/" + name if before else "/dev/null"), ("b/" + name if after else "/dev/null")
    lines, wanted = before.splitlines(), after.splitlines()
    if max(len(lines), len(wanted)) > 10 * _MOST_LINES:
        return f"--- {old}\n+++ {new}\n"
    return "".join(f"{line}\n" for line in difflib.unified_diff(lines, wanted, old, new, lineterm=""))


def _edits(arguments: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    several = arguments.get("edits")
    for one in several if isinstance(several, list | tuple) else [arguments]:
        if isinstance(one, Mapping):
            old, new = _text(one, _OLD), _text(one, _NEW)
            if new is None and old is None and (whole := _text(one, _WHOLE)) is not None:
                yield "", whole
            elif new is not None or old is not None:
                yield old or "", new or ""


def _hunks(old: str, new: str, present: str) -> str:
    """The hunks between two texts, which are parts of the present file's text, before or after the edit."""
    at = next((present.find(text) for text in (old, new) if text and text in present), 0)
    first = present.count("\n", 0, at)
    before, after = old.splitlines(), new.splitlines()
    if len(before) > _MOST_LINES or len(after) > _MOST_LINES:
        # Finding the differences of long texts takes too long.
        lines = [f"@@ -{first + 1},{len(before)} +{first + 1},{len(after)} @@"]
        lines += [f"-{line}" for line in before] + [f"+{line}" for line in after]
    else:
        # The lines before the text only move the numbers.
        lines = list(difflib.unified_diff(before, after, lineterm=""))[2:]
        lines = [_moved(line, first) if line.startswith("@@") else line for line in lines]
    return "".join(f"{line}\n" for line in lines)


def _moved(header: str, lines: int) -> str:
    words = header.split(" ")
    for position in (1, 2):
        start, comma, count = words[position][1:].partition(",")
        words[position] = f"{words[position][0]}{int(start) + lines}{comma}{count}"
    return " ".join(words)


def _text(arguments: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if isinstance(value := arguments.get(name), str)), None)


def name_in(path: str, workspace: Path) -> str:
    """The file's path from the workspace."""
    try:
        return Path(path).relative_to(workspace).as_posix()
    except ValueError:
        return path.lstrip("/")


def present_text(workspace: Path, name: str) -> str:
    """The text of a file in the workspace; empty if there is none that can be read."""
    content = read_inside(workspace, name, _LARGEST_FILE + 1)
    if content is None or len(content) > _LARGEST_FILE:
        return ""
    with contextlib.suppress(UnicodeDecodeError):
        return content.decode()
    return ""


def cut_diff(diff: str) -> str:
    if len(diff) <= LONGEST_DIFF:
        return diff
    return f"{diff[:LONGEST_DIFF].rpartition(chr(10))[0]}\n… {len(diff) - LONGEST_DIFF} characters left out …\n"
