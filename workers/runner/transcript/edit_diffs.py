"""Unified diffs from what coding CLIs say of their edits, for people to read. Pure but for reading the edited file.

Every CLI names its fields otherwise: the old and the new text, the whole new content, a list of such edits, or a ready
diff. Where none is known there is no diff.
"""

from __future__ import annotations

import contextlib
import difflib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workers.runner.workspace.files import read_inside

LONGEST_DIFF = 30_000
_PATHS = ("file_path", "filePath", "path", "absolute_path", "notebook_path", "filename")
_OLD = ("old_string", "oldString", "old_str", "oldText", "old_text")
_NEW = ("new_string", "newString", "new_str", "newText", "new_text")
_WHOLE = ("content", "contents", "file_text")
_READY = ("diff", "patch", "unified_diff")
MOST_SECONDS = 1.0
"""Processor time for the diff of one call, about. What is left then is told as removed and added as a whole: the thread
that compares is the one that stops a program."""
_MOST_LINES = 2000
_LARGEST_FILE = 2**20
_CONTEXT = 3


class TimeBudget:
    """What comparing the texts of one call may still take, in the thread that makes it."""

    def __init__(self) -> None:
        self._until = time.thread_time() + MOST_SECONDS

    @property
    def is_spent(self) -> bool:
        return time.thread_time() >= self._until


class _Matcher(difflib.SequenceMatcher[str]):
    """Finds nothing else in common once the effort is spent."""

    def __init__(self, before: Sequence[str], after: Sequence[str], time_budget: TimeBudget) -> None:
        self._effort = time_budget
        super().__init__(None, before, after)

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> difflib.Match:
        if self._effort.is_spent:
            return difflib.Match(alo, blo, 0)
        return super().find_longest_match(alo, ahi, blo, bhi)


def diff_of(arguments: Mapping[str, object], workspace: Path) -> str | None:
    """Return the edit that a tool's input describes; None if it describes none.

    Line numbers are those of the file in the workspace, before or after the edit, where it can be read; else from 1.
    Edits beyond LONGEST_DIFF or MOST_SECONDS are left out.
    """
    return _diff_of(arguments, workspace, TimeBudget())


def _diff_of(arguments: Mapping[str, object], workspace: Path, time_budget: TimeBudget) -> str | None:
    path = _text(arguments, _PATHS)
    ready = _text(arguments, _READY)
    if ready is not None and "@@" in ready:
        return cut_diff(ready)
    if (changes := arguments.get("changes")) and isinstance(changes, list | tuple):
        diffs = (_diff_of(one, workspace, time_budget) or "" for one in changes if isinstance(one, Mapping))
        return cut_diff("".join(_enough(diffs, time_budget))) or None
    if path is None:
        return None
    edits = list(_edits(arguments))
    if not edits:
        return None
    name = name_in(path, workspace)
    present = present_text(workspace, name) or ""
    hunks = list(_enough((_hunks(old, new, present, time_budget) for old, new in edits), time_budget))
    if not hunks:
        return None
    is_new = all(old == "" for old, _ in edits) and not present
    return cut_diff("".join([f"--- {'/dev/null' if is_new else 'a/' + name}\n", f"+++ b/{name}\n", *hunks]))


def _enough(diffs: Iterator[str], time_budget: TimeBudget) -> Iterator[str]:
    """Those that are not empty, until there is more than is shown or the effort is spent."""
    length = 0
    for diff in diffs:
        if diff:
            yield diff
        length += len(diff)
        if length > LONGEST_DIFF or time_budget.is_spent:
            return


def diff_of_texts(name: str, before: str, after: str, time_budget: TimeBudget) -> str:
    """The diff of a whole file; empty if nothing differs."""
    if before == after:
        return ""
    old, new = ("a/" + name if before else "/dev/null"), ("b/" + name if after else "/dev/null")
    lines, wanted = before.splitlines(), after.splitlines()
    if max(len(lines), len(wanted)) > 10 * _MOST_LINES:
        return f"--- {old}\n+++ {new}\n"
    hunks = "".join(f"{line}\n" for line in _unified(lines, wanted, time_budget))
    return f"--- {old}\n+++ {new}\n{hunks}" if hunks else ""


def _edits(arguments: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    several = arguments.get("edits")
    for one in several if isinstance(several, list | tuple) else [arguments]:
        if isinstance(one, Mapping):
            old, new = _text(one, _OLD), _text(one, _NEW)
            if new is None and old is None and (whole := _text(one, _WHOLE)) is not None:
                yield "", whole
            elif new is not None or old is not None:
                yield old or "", new or ""


def _hunks(old: str, new: str, present: str, time_budget: TimeBudget) -> str:
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
        lines = list(_unified(before, after, time_budget, moved=first))
    return "".join(f"{line}\n" for line in lines)


def _unified(before: Sequence[str], after: Sequence[str], time_budget: TimeBudget, *, moved: int = 0) -> Iterator[str]:
    """As difflib.unified_diff, without the names. moved: how many lines are before both texts."""
    for group in _Matcher(before, after, time_budget).get_grouped_opcodes(_CONTEXT):
        (_, first, _, from_line, _), (_, _, last, _, to_line) = group[0], group[-1]
        yield f"@@ -{_span(first, last, moved)} +{_span(from_line, to_line, moved)} @@"
        for kind, i, j, k, m in group:
            if kind == "equal":
                yield from (f" {line}" for line in before[i:j])
            else:
                yield from (f"-{line}" for line in before[i:j])
                yield from (f"+{line}" for line in after[k:m])


def _span(start: int, stop: int, moved: int) -> str:
    """Lines from start, counted from 0, before stop, as the head of a hunk names them."""
    if stop - start == 1:
        return str(moved + stop)
    return f"{moved + start + (stop > start)},{stop - start}"


def _text(arguments: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if isinstance(value := arguments.get(name), str)), None)


def name_in(path: str, workspace: Path) -> str:
    """The file's path from the workspace."""
    try:
        return Path(path).relative_to(workspace).as_posix()
    except ValueError:
        return path.lstrip("/")


def present_text(workspace: Path, name: str) -> str | None:
    """The text of a file in the workspace; empty if none can be read there. None: it is too long, or no text."""
    content = read_inside(workspace, name, _LARGEST_FILE + 1)
    if content is None:
        return ""
    with contextlib.suppress(UnicodeDecodeError):
        return content.decode() if len(content) <= _LARGEST_FILE else None
    return None


def cut_diff(diff: str) -> str:
    if len(diff) <= LONGEST_DIFF:
        return diff
    return f"{diff[:LONGEST_DIFF].rpartition(chr(10))[0]}\n… {len(diff) - LONGEST_DIFF} characters left out …\n"
