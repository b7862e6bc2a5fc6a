"""What differs between two commits, with files that were renamed.

Finding renames with changed content compares each new file with each that is gone: minutes for a thousand large files.
"""

from __future__ import annotations

from pathlib import Path

from common.errors import CutShort
from common.providers.forge import git
from common.providers.forge.git import GitAnswer

SEARCH_SECONDS = 15.0
"""How long renames with changed content are looked for. After that, only those of files with the same content."""
_SIMILAR = "-M"
_SAME = "-M100%"


def diff_tree(path: Path, *arguments: str, max_bytes: int) -> tuple[GitAnswer, str]:
    """Run `git diff-tree`. Returns its answer and the option for `git diff-tree` that finds the same renames again."""
    try:
        found = git.run(path, "diff-tree", _SIMILAR, *arguments, max_bytes=max_bytes, timeout_seconds=SEARCH_SECONDS)
    except CutShort:
        return git.run(path, "diff-tree", _SAME, *arguments, max_bytes=max_bytes), _SAME
    return found, _SIMILAR
