"""What defines how a project's tests run: a Makefile, the runner's options, the scripts of a package file. A proof runs
the tests by the definitions of the commit below, unless the task may change them.

Dependencies, lock files and fixtures are no part of it: a package file keeps the branch's.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from common.path_patterns import compiled
from common.providers.forge import Blob, Change, Entry, Forge
from common.values.check import FileText, Overlay
from common.values.repository import Repository
from workers.jobs.commit_reads import changes_between
from workers.jobs.setup_parts import has_parts, same_parts, with_parts_of

_SCRIPT = re.compile(
    r"(?:^|[;&|(\n])\s*(?:\w+=\S*\s+)*(?:exec\s+)?"
    r"(?:(?:/\S+/)?(?:ba|da|k|z)?sh\s+(?:-\S+\s+)*(?P<read>[^\s;&|()<>-]\S*)|(?P<run>[^\s;&|()<>=]*/[^\s;&|()<>]+))"
)
"""A script that a command reads with a shell, or runs by its path. Other paths in it may be of the product."""


@dataclass(frozen=True)
class SetupChange:
    """What a commit changes in how the tests run. paths: sorted, as text. overlay: takes the definitions from below."""

    paths: tuple[str, ...]
    overlay: Overlay


@dataclass(frozen=True)
class _Pair:
    """A file before and after, None where there is none, and their contents if only parts of it define tests."""

    before: Entry | None
    after: Entry | None
    old: bytes | None = None
    new: bytes | None = None


@dataclass(frozen=True)
class SetupFiles:
    """Finds the files that define how tests run. patterns: gitignore's. command: the project's test command."""

    forge: Forge
    repository: Repository
    patterns: tuple[str, ...]
    command: str

    def change(self, changes: Sequence[Change], below: str) -> SetupChange | None:
        """What these changes do to the definitions of the commit below; None if nothing."""
        pairs = [pair for pair in self._pairs(changes) if not _is_the_same(pair)]
        if not pairs or not self._is_defined(below):
            return None
        taken, gone, texts = set[str](), set[str](), dict[str, str]()
        for pair in pairs:
            _undo(pair, taken, gone, texts)
        written = tuple(FileText(path, text) for path, text in sorted(texts.items()))
        overlay = Overlay(below, tuple(sorted(taken)), tuple(sorted(gone - taken)), written)
        return SetupChange(tuple(sorted({*taken, *gone, *texts})), overlay)

    def defines(self, path: str) -> bool:
        """Whether a file of this path is one that defines how tests run."""
        return path in self._scripts or compiled(self.patterns).covers(path)

    @property
    def _scripts(self) -> set[str]:
        """Scripts that the command itself runs, such as `ci/test.sh`."""
        found = _SCRIPT.finditer(self.command)
        return {(one["read"] or one["run"]).strip("'\"").removeprefix("./") for one in found}

    def _is_defined(self, commit: str) -> bool:
        """Whether the commit has such a file at all. A first one changes nothing that was there."""
        return any(self.defines(entry.path) for entry in self.forge.list_files(self.repository, commit=commit).entries)

    def _pairs(self, changes: Sequence[Change]) -> Iterator[_Pair]:
        found = [pair for change in changes for pair in self._sides(change)]
        entries = [entry for pair in found for entry in (pair.before, pair.after) if entry is not None]
        wanted = sorted({entry.object_id for entry in entries if _is_in_part(entry)})
        blobs = {blob.object_id: blob for blob in self.forge.read_blobs(self.repository, wanted)} if wanted else {}
        for pair in found:
            yield _Pair(pair.before, pair.after, _content(pair.before, blobs), _content(pair.after, blobs))

    def _sides(self, change: Change) -> Iterator[_Pair]:
        """The two sides of the change that define tests: together, or each of its own if the path differs."""
        before, after = ((each if each and self.defines(each.path) else None) for each in (change.before, change.after))
        if before is not None and after is not None and before.path == after.path:
            yield _Pair(before, after)
            return
        if before is not None:
            yield _Pair(before, None)
        if after is not None:
            yield _Pair(None, after)


# A waiting proof asks each second, and commits don't change.
@functools.lru_cache(maxsize=16)
def setup_change(files: SetupFiles, below: str, head: str) -> SetupChange | None:
    """What a commit changes in the definitions of the commit below, where it left the default branch; None: nothing."""
    return files.change(changes_between(files.forge, files.repository, base=below, head=head), below)


def _is_in_part(entry: Entry) -> bool:
    return entry.is_file and has_parts(entry.path)


def _content(entry: Entry | None, blobs: dict[str, Blob]) -> bytes | None:
    if entry is None or not _is_in_part(entry):
        return None
    blob = blobs[entry.object_id]
    return None if blob.is_cut else blob.content


def _is_the_same(pair: _Pair) -> bool:
    """Whether only what does not define tests differs, such as the dependencies of a package file."""
    entry = pair.after or pair.before
    if entry is None or not _is_in_part(entry):
        return False
    both_read = all(
        (side is None) == (text is None) for side, text in ((pair.before, pair.old), (pair.after, pair.new))
    )
    return both_read and same_parts(entry.path, pair.old, pair.new)


def _undo(pair: _Pair, taken: set[str], gone: set[str], texts: dict[str, str]) -> None:
    before, after = pair.before, pair.after
    if after is not None and pair.new is not None and (before is None or pair.old is not None):
        text = with_parts_of(after.path, pair.old, pair.new)
        if text is not None:
            texts[after.path] = text
            return
    if before is not None:
        taken.add(before.path)
    elif after is not None:
        gone.add(after.path)
