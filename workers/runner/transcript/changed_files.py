"""Diffs of files that a program says it has changed without saying how, as codex does of its patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from workers.runner.transcript.edit_diffs import TimeBudget, cut_diff, diff_of_texts, name_in, present_text

MOST_FILES = 20
MOST_CHARACTERS = 32 * 2**20
"""Of all files whose contents are remembered; a file that is forgotten is compared with the last commit again."""
_LONGEST_PATH = 4096


class ChangedFiles:
    """Compares the files with what they held when they were last compared, at first with the last commit.

    committed: the text of a file, named from the workspace, in the last commit; empty if it is not in it.
    """

    def __init__(self, workspace: Path, committed: Callable[[str], str]) -> None:
        self._workspace = workspace
        self._committed = committed
        self._seen: dict[str, str] = {}
        self._characters = 0

    def names(self, arguments: Mapping[str, object]) -> list[str]:
        """The files that a tool's input names in `changes`, from the workspace: the first MOST_FILES."""
        changes = arguments.get("changes")
        named = [one.get("path") for one in changes if isinstance(one, Mapping)] if isinstance(changes, list) else []
        paths = [path for path in named if isinstance(path, str) and 0 < len(path) <= _LONGEST_PATH]
        return [name_in(path, self._workspace) for path in paths[:MOST_FILES]]

    def diff(self, names: Sequence[str]) -> str | None:
        """The diff of these files; None if nothing differs. Call it once the change is made.

        Files that are too long, or no text, are left out.
        """
        time_budget = TimeBudget()
        return cut_diff("".join(self._one(name, time_budget) for name in names)) or None

    def _one(self, name: str, time_budget: TimeBudget) -> str:
        known = self._forget(name)
        before = self._committed(name) if known is None else known
        after = present_text(self._workspace, name)
        if after is None:
            return ""
        self._seen[name] = after
        self._characters += len(name) + len(after)
        while self._characters > MOST_CHARACTERS:
            self._forget(next(iter(self._seen)))
        return diff_of_texts(name, before, after, time_budget)

    def _forget(self, name: str) -> str | None:
        """Remove and return what the file held; None if that is not known."""
        text = self._seen.pop(name, None)
        if text is not None:
            self._characters -= len(name) + len(text)
        return text
