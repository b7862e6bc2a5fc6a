"""Diffs of files that a program says it has changed without saying how, as codex does of its patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from workers.runner.edit_diffs import Effort, cut_diff, diff_of_texts, name_in, present_text

MOST_FILES = 20


class ChangedFiles:
    """Compares the files with what they held when they were last compared, at first with the last commit.

    committed: the text of a file, named from the workspace, in the last commit; empty if it is not in it.
    """

    def __init__(self, workspace: Path, committed: Callable[[str], str]) -> None:
        self._workspace = workspace
        self._committed = committed
        self._seen: dict[str, str] = {}

    def diff(self, arguments: Mapping[str, object]) -> str | None:
        """The diff of the files that a tool's input names in `changes`; None if it names none, or nothing differs.

        Call it once the change is made.
        """
        changes = arguments.get("changes")
        named = [one.get("path") for one in changes if isinstance(one, Mapping)] if isinstance(changes, list) else []
        names = [name_in(path, self._workspace) for path in named if isinstance(path, str) and path]
        effort = Effort()
        return cut_diff("".join(self._one(name, effort) for name in names[:MOST_FILES])) or None

    def _one(self, name: str, effort: Effort) -> str:
        before = self._seen[name] if name in self._seen else self._committed(name)
        after = self._seen[name] = present_text(self._workspace, name)
        return diff_of_texts(name, before, after, effort)
