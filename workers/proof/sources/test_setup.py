"""What defines how a project's tests run: a Makefile, the runner's options, the scripts of a package file. A proof runs
the tests by the definitions of the commit below, unless the task may change them.

Dependencies, lock files and fixtures are no part of it: a package file keeps the branch's.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from common.errors import ProviderRefused
from common.providers.forge import Blob, Change, Entry, Forge
from common.values.path_patterns import compiled
from common.values.repository import Repository
from common.values.testing.check import FileText, Overlay
from workers.proof.forge.commit_reads import changes_between
from workers.proof.sources.links import LARGEST_LISTING, paths_by_links
from workers.proof.sources.setup_parts import has_parts, same_parts, with_parts_of
from workers.proof.sources.setup_scripts import Followed, follow, scripts_named

LARGEST_FOLLOWED = 100_000
"""Bytes of a file that is read to find the scripts that a test command leads to."""


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
    """Finds the files that define how tests run. patterns: gitignore's. command: the project's test command.

    followed: what the command leads to in the commit below, and what its links lead to that define how tests run.
    """

    forge: Forge
    repository: Repository
    patterns: tuple[str, ...]
    command: str
    followed: Followed = field(default_factory=Followed)

    def change(self, changes: Sequence[Change], below: str) -> SetupChange | None:
        """What these changes do to the definitions of the commit below; None if nothing.

        Raises ProviderRefused (`too_many_files`) if these can't be listed: the branch's would be taken for the first.
        """
        entries = self._entries(below) if changes else ()
        files = replace(self, followed=self._follow(entries))
        pairs = [pair for pair in files._pairs(changes) if not _is_the_same(pair)]
        # A first definition changes nothing that was there.
        if not pairs or not any(files.defines(entry.path) for entry in entries):
            return None
        taken, gone, texts = set[str](), set[str](), dict[str, str]()
        for pair in pairs:
            _undo(pair, taken, gone, texts)
        folders = {folder for path in taken for folder in _folders(path)}
        # A file that is taken may be a folder in the commit, or need a folder where the commit has a file.
        fitting = [path for path in sorted(texts) if path not in folders and taken.isdisjoint(_folders(path))]
        written = tuple(FileText(path, texts[path]) for path in fitting)
        overlay = Overlay(below, tuple(sorted(taken)), tuple(sorted(gone - taken)), written)
        return SetupChange(tuple(sorted({*taken, *gone, *texts})), overlay)

    def _entries(self, below: str) -> Sequence[Entry]:
        listing = self.forge.list_files(self.repository, commit=below, max_bytes=LARGEST_LISTING)
        if listing.is_truncated:
            raise ProviderRefused(f"{below} has more files than can be listed", code="too_many_files")
        return listing.entries

    def defines(self, path: str) -> bool:
        """Whether a file of this path is one that defines how tests run."""
        is_named = path in self._scripts or self.followed.covers(path)
        return is_named or compiled(self.patterns).covers(path)

    @functools.cached_property
    def _scripts(self) -> set[str]:
        # Asked for each file of a commit.
        return scripts_named(self.command)

    def _follow(self, entries: Sequence[Entry]) -> Followed:
        blobs = {entry.path: entry.object_id for entry in entries if entry.is_file}
        linked = paths_by_links(entries, self._contents)
        blobs |= {path: blobs[real] for path, real in linked.items()}

        def read(paths: Sequence[str]) -> Mapping[str, bytes]:
            wanted = {blobs[path]: path for path in paths if path in blobs}
            found = self.forge.read_blobs(self.repository, list(wanted)) if wanted else ()
            return {wanted[blob.object_id]: blob.content for blob in found if len(blob.content) <= LARGEST_FOLLOWED}

        found = follow(self.command, [*(entry.path for entry in entries), *linked], read)
        defines = replace(self, followed=found).defines
        return replace(found, paths=found.paths | {real for path, real in linked.items() if defines(path)})

    def _contents(self, links: Sequence[Entry]) -> dict[str, bytes]:
        blobs = self._blobs([link.object_id for link in links])
        return {link.path: blobs[link.object_id].content for link in links if link.object_id in blobs}

    def _pairs(self, changes: Sequence[Change]) -> Iterator[_Pair]:
        found = [pair for change in changes for pair in self._sides(change)]
        entries = [entry for pair in found for entry in (pair.before, pair.after) if entry is not None]
        wanted = sorted({entry.object_id for entry in entries if _is_in_part(entry)})
        blobs = self._blobs(wanted)
        for pair in found:
            yield _Pair(pair.before, pair.after, _content(pair.before, blobs), _content(pair.after, blobs))

    def _blobs(self, wanted: Sequence[str]) -> dict[str, Blob]:
        """By their ids; none if they are too large together."""
        try:
            return {blob.object_id: blob for blob in self.forge.read_blobs(self.repository, wanted)} if wanted else {}
        except ProviderRefused as error:
            if error.code != "diff_too_large":
                raise
            return {}

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
    blob = blobs.get(entry.object_id)
    return None if blob is None or blob.is_cut else blob.content


def _is_the_same(pair: _Pair) -> bool:
    """Whether only what does not define tests differs, such as the dependencies of a package file."""
    entry = pair.after or pair.before
    if entry is None or not _is_in_part(entry):
        return False
    both_read = all(
        (side is None) == (text is None) for side, text in ((pair.before, pair.old), (pair.after, pair.new))
    )
    return both_read and same_parts(entry.path, pair.old, pair.new)


def _folders(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def _is_writable(text: str) -> bool:
    """Whether it can be written as UTF-8. JSON may contain half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _undo(pair: _Pair, taken: set[str], gone: set[str], texts: dict[str, str]) -> None:
    before, after = pair.before, pair.after
    if after is not None and pair.new is not None and (before is None or pair.old is not None):
        text = with_parts_of(after.path, pair.old, pair.new)
        if text is not None and _is_writable(text):
            texts[after.path] = text
            return
    if before is not None:
        taken.add(before.path)
    elif after is not None:
        gone.add(after.path)
