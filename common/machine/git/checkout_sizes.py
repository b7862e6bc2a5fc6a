"""Computes how large a commit would be when checked out, without a checkout, and checks every push by that.

Trees refer to subtrees by content, so a few small objects can describe any number of paths, and walking them might
never end. This module reads each object once and counts it as often as it is used. Run as a program, it is the
`pre-receive` hook of the local forge (see docs/decisions/0015): at that time git has unpacked the push into quarantine,
no ref has moved, and a refused push leaves nothing behind. Imports only the standard library: hooks, agents and pods
use it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

MOST_PATHS = 1_000_000
"""Most files in one commit, submodules included, and most folders. The largest public repositories have about 400,000
files."""
MOST_PATH_BYTES = 256 * 2**20
"""Total length of their paths."""
MOST_BYTES = 16 * 2**30
"""Total size of their contents, as a checkout writes them."""
DEEPEST = 1000
"""Most levels of folders. A path of this depth is longer than most systems can open."""
MOST_SECONDS = 60.0
"""Longest time for one call. A commit with 100,000 files takes about one second."""

FILE_BYTES_VARIABLE = "PUSH_FILE_BYTES"
"""Environment variable of the hook: the largest file that a push may contain. Without it any size is accepted."""

_BATCH = 256
_LARGEST_TREE_BYTES = 64 * 2**20
_KIND, _TREE, _FILE, _LINK = 0o170000, 0o040000, 0o100000, 0o120000
"""The bits of a mode that tell what an entry is. Git looks at no more, and takes every other kind for a submodule."""
_REFUSED_EXIT = 1


class TooLarge(Exception):
    """The commit exceeds the limits of this module. The message is a sentence for a person."""


class TookTooLong(Exception):
    """Counting was not finished in time. This says nothing about the commit."""


class Unreadable(Exception):
    """Git did not return an object: it is missing, or git was stopped."""


@dataclass(frozen=True)
class Size:
    """The size of a tree. paths: number of files. path_bytes: length of their paths. folders: their number, itself
    included. depth: levels of folders.
    """

    paths: int
    path_bytes: int
    content_bytes: int
    folders: int
    depth: int


@dataclass(frozen=True)
class _Entry:
    """has_content: whether it is a file or a link: False for a folder or a submodule."""

    name_bytes: int
    sha: bytes
    is_tree: bool
    has_content: bool


def require_bounded(
    commits: Iterable[str], *, git: Sequence[str], environ: Mapping[str, str], most_seconds: float = MOST_SECONDS
) -> None:
    """Check that every commit (or tag, or tree) is within the limits of this module.

    git: the command that starts git. environ: its whole environment, which names the repository (GIT_DIR). Raises
    TooLarge, TookTooLong, Unreadable.
    """
    with _reading(git, environ, most_seconds) as objects:
        for commit in commits:
            objects.require_bounded(commit)


@contextlib.contextmanager
def _reading(git: Sequence[str], environ: Mapping[str, str], most_seconds: float) -> Iterator[_Objects]:
    """The objects of a repository, while its git process runs. Raises Unreadable if that ends."""
    process = subprocess.Popen(
        [*git, "cat-file", "--batch-command", "--buffer"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(environ),
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield _Objects(process.stdin, process.stdout, most_seconds)
    except (BrokenPipeError, EOFError) as error:
        raise Unreadable("git ended while it listed objects") from error
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stdin):
            try:
                pipe.close()
            except BrokenPipeError:
                continue


class _Objects:
    """Reads the objects of one repository through one `git cat-file` process."""

    def __init__(self, asking: IO[bytes], answers: IO[bytes], most_seconds: float) -> None:
        self._asking, self._answers, self._most_seconds = asking, answers, most_seconds
        self._deadline = time.monotonic() + most_seconds
        self._sizes: dict[bytes, Size] = {}
        self._blobs: dict[bytes, int] = {}

    def begin_another(self) -> None:
        """Give another commit as much time as each before. Their objects' sizes are kept, as far as memory allows."""
        self._deadline = time.monotonic() + self._most_seconds
        if len(self._sizes) + len(self._blobs) > MOST_PATHS:
            self._sizes.clear()
            self._blobs.clear()

    def require_bounded(self, commit: str) -> None:
        header = self._headers([f"{commit}^{{tree}}".encode()])[0]
        if header is None:
            # A tag of a single file has no tree.
            return
        root = bytes.fromhex(header[0].decode("ascii"))
        if root not in self._sizes:
            trees = self._read_trees(root)
            self._read_blobs(entry.sha for entries in trees.values() for entry in entries if entry.has_content)
            self._add_up(root, trees)

    def _read_trees(self, root: bytes) -> dict[bytes, list[_Entry]]:
        """The entries of `root` and of each tree below it that has no size yet, read once, level by level."""
        found: dict[bytes, list[_Entry]] = {}
        level, depth, entries = [root], 0, 0
        while level:
            depth += 1
            if depth > DEEPEST:
                raise TooLarge(f"it has more than {DEEPEST} levels of folders")
            below: dict[bytes, None] = {}
            for batch in _batches(level):
                for sha, content in zip(batch, self._contents(batch), strict=True):
                    found[sha] = listed = list(_parsed(content))
                    entries += len(listed)
                    if entries > MOST_PATHS:
                        raise TooLarge(f"it has more than {MOST_PATHS:,} files")
                    below |= dict.fromkeys(entry.sha for entry in listed if entry.is_tree)
            level = [sha for sha in below if sha not in found and sha not in self._sizes]
        return found

    def _read_blobs(self, shas: Iterable[bytes]) -> None:
        unknown = [sha for sha in dict.fromkeys(shas) if sha not in self._blobs]
        for batch in _batches(unknown):
            for sha, header in zip(batch, self._headers([sha.hex().encode() for sha in batch]), strict=True):
                self._blobs[sha] = int(header[2]) if header is not None else 0

    def _add_up(self, root: bytes, trees: Mapping[bytes, list[_Entry]]) -> None:
        """Compute the sizes of these trees, subtrees first. The numbers are exact, however large."""
        waiting = [root]
        while waiting:
            tree = waiting[-1]
            unknown = [entry.sha for entry in trees[tree] if entry.is_tree and entry.sha not in self._sizes]
            if unknown and tree not in self._sizes:
                waiting += dict.fromkeys(unknown)
                continue
            waiting.pop()
            self._sizes[tree] = size = self._sum(trees[tree])
            _check(size)

    def _sum(self, entries: list[_Entry]) -> Size:
        paths = path_bytes = content_bytes = folders = depth = 0
        for entry in entries:
            below = self._sizes[entry.sha] if entry.is_tree else Size(1, 0, self._blobs.get(entry.sha, 0), 0, 0)
            paths += below.paths
            path_bytes += below.path_bytes + below.paths * (entry.name_bytes + 1)
            content_bytes += below.content_bytes
            folders += below.folders
            depth = max(depth, below.depth)
        return Size(paths, path_bytes, content_bytes, folders + 1, depth + 1)

    def _headers(self, names: Sequence[bytes]) -> list[tuple[bytes, bytes, bytes] | None]:
        """(sha, type, size) of each object; None for a missing one."""
        self._ask(b"info", names)
        return [self._header() for _ in names]

    def _contents(self, trees: Sequence[bytes]) -> Iterator[bytes]:
        self._ask(b"contents", [sha.hex().encode() for sha in trees])
        for _ in trees:
            header = self._header()
            if header is None:
                raise Unreadable("a tree is missing")
            size = int(header[2])
            if size > _LARGEST_TREE_BYTES:
                raise TooLarge(f"one of its folders has {size:,} bytes of names")
            content = self._answers.read(size + 1)
            if len(content) <= size:
                raise EOFError
            yield content[:-1]

    def _ask(self, what: bytes, names: Sequence[bytes]) -> None:
        if time.monotonic() > self._deadline:
            raise TookTooLong("the files could not be counted in time")
        # A batch of requests fits into a pipe's buffer, so this write can't block while git waits to be read.
        self._asking.write(b"".join(b"%s %s\n" % (what, name) for name in names) + b"flush\n")
        self._asking.flush()

    def _header(self) -> tuple[bytes, bytes, bytes] | None:
        line = self._answers.readline()
        if not line:
            raise EOFError
        words = line.split()
        return (words[0], words[1], words[2]) if len(words) == 3 else None


def _parsed(tree: bytes) -> Iterator[_Entry]:
    """The entries of a tree object: `mode SP name NUL` and 20 bytes each."""
    at = 0
    while at < len(tree):
        space = tree.index(b" ", at)
        end = tree.index(b"\0", space)
        kind = int(tree[at:space], 8) & _KIND
        at = end + 21
        yield _Entry(end - space - 1, tree[end + 1 : at], kind == _TREE, kind in {_FILE, _LINK})


def _check(size: Size) -> None:
    if size.paths > MOST_PATHS:
        raise TooLarge(f"it has {size.paths:,} files, more than {MOST_PATHS:,}")
    if size.folders > MOST_PATHS:
        raise TooLarge(f"it has {size.folders:,} folders, more than {MOST_PATHS:,}")
    if size.content_bytes > MOST_BYTES:
        raise TooLarge(f"its files have {size.content_bytes:,} bytes, more than {MOST_BYTES:,}")
    if size.path_bytes > MOST_PATH_BYTES:
        raise TooLarge(f"the names of its files have {size.path_bytes:,} bytes, more than {MOST_PATH_BYTES:,}")
    if size.depth > DEEPEST:
        raise TooLarge(f"it has {size.depth:,} levels of folders, more than {DEEPEST}")


def _batches(shas: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(shas), _BATCH):
        yield shas[start : start + _BATCH]


def main() -> int:
    """The `pre-receive` hook: reads `old new ref` lines; its output is shown to the pusher; 1 refuses the push."""
    # The name of a ref may have spaces and line ends of Unicode.
    updates = [line.split(" ", 2) for line in sys.stdin.read().split("\n") if line]
    new = sorted({words[1] for words in updates if words[1].strip("0")})
    refs = {words[1]: words[2] for words in updates}
    try:
        _require_pushable(new, refs)
        _require_small_files(new)
    except (TooLarge, TookTooLong, Unreadable) as error:
        print(f"too_large: {error}" if isinstance(error, TooLarge) else f"This push can't be checked: {error}")
        return _REFUSED_EXIT
    return 0


def _require_pushable(new: Sequence[str], refs: Mapping[str, str]) -> None:
    """refs: the name of a ref for each commit. A push may have thousands of branches that share nearly all files."""
    with _reading(["git"], os.environ, MOST_SECONDS) as objects:
        for sha in new:
            objects.begin_another()
            try:
                objects.require_bounded(sha)
            except TooLarge as error:
                ref = refs[sha]
                raise TooLarge(f"{ref} can't be accepted: {error}") from error


def _require_small_files(new: Sequence[str]) -> None:
    """Check that no new file of the push is larger than the server allows. Files already there are not checked."""
    most = int(os.environ.get(FILE_BYTES_VARIABLE, "0"))
    if not (most and new):
        return
    command = ["git", "rev-list", "--objects", f"--filter=blob:limit={most + 1}", "--filter-print-omitted", *new,
               "--not", "--all"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE) as listing:
        assert listing.stdout is not None
        large = [line[1:].strip().decode("ascii") for line in listing.stdout if line.startswith(b"~")]
    if listing.returncode:
        raise Unreadable("git could not list the new objects")
    if large:
        raise TooLarge(f"one of its files (object {large[0][:12]}) has more than {most:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
