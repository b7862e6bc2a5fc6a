"""What `git add` is told of a working tree that a driver left, and what it says of files that it can't take.

A driver may leave anything: files that nobody may read, repositories in the repository. None of it may keep the rest of
the work from being committed.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import CutShort, ProviderRefused
from common.machine.gitmodules import submodule_paths
from workers.runner.workspace_files import nested_repositories, read_inside

MOST_NAMED = 20
_PLACEHOLDER = ".aiworker-placeholder"
_REFUSED_NAME = re.compile(r"\\|git~", re.IGNORECASE)
"""Names that git takes into no index: on some machines they would name its own folder."""
_MOST_WORKTREES = 20
_LARGEST_GITMODULES_BYTES = 2**20
_LONGEST_GIT_FILE = 8192
# All commands together are one word of a command line, which has at most 128 KiB. A path is in two of them.
_MOST_BYTES = 30_000
_OTHER_BYTES = 120
_LEFT_OUT = re.compile(
    r"error: unable to index file '(?P<file>.*?)'?"
    r"|warning: could not open directory '(?P<folder>.*)': .*"
    r"|error: '(?P<repository>.*)' does not have a commit checked out"
)


def add_all(paths: Path, without: Sequence[str]) -> list[str]:
    """The command that adds all files but these; it exits with 1 if it left out some that it could not add.

    paths: a new file, which is written. without: paths from the top of the working tree.
    """
    # In a file: the names of many files are more than a command line holds.
    paths.write_bytes(os.fsencode("\0".join([".", *(f":(exclude,top,literal){name}" for name in without)])))
    return ["add", "--all", "--sparse", "--ignore-errors", f"--pathspec-from-file={paths}", "--pathspec-file-nul"]


@dataclass(frozen=True)
class Nested:
    """Repositories in the working tree that are no submodules.

    taken: whose files are added as files of the working tree. finished: worktrees of its own repository without any
    work that HEAD lacks; nothing of them is added.
    """

    taken: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()

    def before(self, some_object: str) -> list[list[str]]:
        """The commands that prepare the index for `add_all`. some_object: the SHA of any object.

        Git looks into the folder of another repository only where the index has a file below it already.
        """
        files = [word for name in self._files for word in ("--cacheinfo", f"100644,{some_object},{name}")]
        finished = [["update-index", "--force-remove", "--", *self.finished]] if self.finished else []
        return [*finished, *([["update-index", "--add", "--replace", *files]] if files else [])]

    def after(self) -> list[list[str]]:
        """The commands after `add_all`: it leaves what `before` adds where a sparse checkout has no such folder."""
        return [["update-index", "--force-remove", "--", *self._files]] if self.taken else []

    @property
    def _files(self) -> list[str]:
        return [f"{name}/{_PLACEHOLDER}" for name in self.taken]


def look_for_nested(root: Path, ask: Callable[..., list[list[str]]]) -> Nested:
    """Find the repositories in the working tree `root`. ask: runs git there, as RunGit.answers does."""
    candidates = [name for name in nested_repositories(root) if not _REFUSED_NAME.search(name)]
    if not candidates:
        return Nested()
    alone = submodule_paths(read_inside(root, ".gitmodules", _LARGEST_GITMODULES_BYTES) or b"")
    candidates = _outside(candidates, alone)
    worktrees = [name for name in candidates if _is_worktree(root, name)][:_MOST_WORKTREES]
    finished = [name for name in worktrees if _is_finished(name, ask)]
    taken, command_bytes = [], 0
    for name in _outside(candidates, finished):
        command_bytes += len(os.fsencode(shlex.quote(name))) + _OTHER_BYTES
        if command_bytes > _MOST_BYTES:
            break
        taken.append(name)
    return Nested(tuple(taken), tuple(finished))


def _outside(names: Sequence[str], folders: Collection[str]) -> list[str]:
    """The names that are none of these folders, nor in one."""
    return [name for name in names if not any(name == it or name.startswith(f"{it}/") for it in folders)]


def _is_worktree(root: Path, name: str) -> bool:
    """Whether it is a worktree of the repository whose working tree is `root`."""
    written = (read_inside(root, f"{name}/.git", _LONGEST_GIT_FILE) or b"").decode("utf-8", "surrogateescape")
    git_folder = os.path.normpath(root / name / written.removeprefix("gitdir:").strip())
    own = (root / ".git" / "worktrees", root.resolve() / ".git" / "worktrees")
    return written.startswith("gitdir:") and any(Path(git_folder).is_relative_to(it) for it in own)


def _is_finished(worktree: str, ask: Callable[..., list[list[str]]]) -> bool:
    """Whether HEAD of the main working tree has all commits of this one, and this one has no other changes."""
    try:
        (), commits, changes = ask(
            ["-C", worktree, "rev-list", "--max-count=1", "HEAD", "^main-worktree/HEAD"],
            ["--no-optional-locks", "-C", worktree, "status", "--porcelain"],
        )
    except (CutShort, ProviderRefused):
        return False
    return not commits and not changes


def left_out(lines: Sequence[str]) -> list[str]:
    """The paths that `git add` could not take, by what it wrote; sorted. Of a path with a line end, its first line."""
    found = (_LEFT_OUT.fullmatch(line) for line in lines)
    return sorted({match[match.lastgroup or 0] for match in found if match})


class LeftOutLog:
    """Tells which paths are in no commit, once until others are."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last: list[str] = []

    def tell(self, paths: Sequence[str]) -> None:
        if paths and paths != self._last:
            more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
            self._say(f"Not in the commit, as git can't read it: {', '.join(paths[:MOST_NAMED])}{more}")
        self._last = list(paths)
