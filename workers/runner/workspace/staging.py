"""What `git add` is told of a working tree that a driver left, and what it says of files that it can't take.

A driver may leave anything: files that nobody may read, repositories in the repository. None of it may keep the rest of
the work from being committed.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from common.errors import CutShort, ProviderRefused
from common.machine.git.gitmodules import submodule_paths
from workers.runner.workspace.files import nested_repositories, read_inside
from workers.runner.workspace.run_git import object_name

Result = TypeVar("Result")

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
_UNCONVERTED = re.compile(
    r"\bfatal: (?:BOM is (?:required|prohibited) in '(?P<marked>.*)' if encoded as .*"
    r"|failed to encode '(?P<encoded>.*)' from .* to .*"
    r"|encoding '(?P<returned>.*)' from .* to .* and back is not the same)$",
    re.MULTILINE,
)
"""The end of a git that was to convert a file from the encoding of `.gitattributes` and could not. A filter that must
not fail is another thing: what it encrypts is never committed as it is."""
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


def add_unconverted(
    root: Path, add: Callable[[Mapping[str, str]], Result], run: Callable[[Sequence[str]], Sequence[str]]
) -> Result:
    """Call `add` until git takes all files of the working tree `root`: it is told which to take as they are, by what
    `as_they_are` needs of them. Git ends at the first file that it can't convert. run: runs git there.

    A program that knows nothing of `working-tree-encoding` writes UTF-8, which is what git would have made of it.
    """
    unconverted: dict[str, str] = {}
    command_bytes = 0
    while True:
        try:
            return add(unconverted)
        except ProviderRefused as refused:
            match = _UNCONVERTED.search(refused.message)
            name = match and match[match.lastgroup or 0]
            if not name or name in unconverted or command_bytes > _MOST_BYTES:
                raise
            command_bytes += len(os.fsencode(shlex.quote(name))) + _OTHER_BYTES
            sha = object_name(run(["hash-object", "-w", "--no-filters", "--", name]))
            mode = "100755" if os.access(root / name, os.X_OK) else "100644"
            unconverted[name] = f"{mode},{sha},{name}"


def as_they_are(unconverted: Mapping[str, str]) -> list[list[str]]:
    """The commands that add these files to the index, whatever the attributes say."""
    words = [word for one in unconverted.values() for word in ("--cacheinfo", one)]
    return [["update-index", "--add", "--replace", *words]] if words else []


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


def find_nested(root: Path, ask: Callable[..., list[list[str]]]) -> Nested:
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
            ["-C", worktree, "rev-list", "--max-count=1", "HEAD", "^main-worktree/HEAD", "--"],
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

    def __init__(self, add_text: Callable[[str], None]) -> None:
        self._add_text = add_text
        self._last: list[str] = []

    def tell(self, paths: Sequence[str]) -> None:
        if paths and paths != self._last:
            more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
            self._add_text(f"Not in the commit, as git can't read it: {', '.join(paths[:MOST_NAMED])}{more}")
        self._last = list(paths)
