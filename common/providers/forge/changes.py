"""The tree entries that differ between two commits, and the content of blobs: for code that decides by them.

A patch is for people to read: it may be cut, it calls files binary by their attributes, and its lines may look like
headers. This module reads only git's NUL-terminated lists and the blobs themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from common.errors import ProviderRefused
from common.providers.forge import git
from common.providers.forge.forge_protocol import Blob, Change, Entry, Listing
from common.providers.forge.history import require_bounded
from common.providers.forge.renames import diff_tree

# Callers check the list of files and must see all of it: a longer list is refused, never cut.
_MAX_LIST_BYTES = 16 * 2**20
_MAX_BLOB_BYTES = 4 * 2**20
_MAX_TOTAL_BYTES = 128 * 2**20
_BATCH_BYTES = 8 * 2**20
# Ids and answers of one batch must each fit into a pipe's buffer: all ids are written before an answer is read.
_BATCH_BLOBS = 800
SNIFFED_BYTES = 8000
"""How much is read of a blob that is too large: the part in which git looks for a NUL byte to call a file binary."""


def read_changes(repository_path: Path, *, merge_base: str, head: str) -> tuple[Change, ...]:
    """Return every entry that differs; a rename is one change with both paths.

    Raises ProviderRefused: `too_large` if a commit has too many files, `diff_too_large` if too many changed.
    """
    require_bounded(repository_path, merge_base, head)
    options = ("-r", "-z", "--raw", "--no-abbrev", "--no-commit-id")
    listed, _ = diff_tree(repository_path, *options, merge_base, head, max_bytes=_MAX_LIST_BYTES)
    if listed.stdout_is_cut:
        raise ProviderRefused(f"{head} changes too many files to list", code="diff_too_large")
    return tuple(_changes(listed.stdout))


def _changes(listing: bytes) -> Iterator[Change]:
    """Parse entries `:old_mode new_mode old_id new_id status NUL path NUL`; a rename has a second path."""
    words = iter(listing.decode("utf-8", "surrogateescape").split("\0"))
    for word in words:
        if not word:
            return
        old_mode, new_mode, old_id, new_id, status = word.removeprefix(":").split(" ")
        old_path = next(words)
        new_path = next(words) if status[0] in "RC" else old_path
        yield Change(
            before=None if status[0] == "A" else Entry(old_path, old_mode, old_id),
            after=None if status[0] == "D" else Entry(new_path, new_mode, new_id),
        )


def list_files(repository_path: Path, commit: str, *, max_bytes: int) -> Listing:
    """List every leaf of the commit's tree; truncated where git's listing exceeds max_bytes."""
    options = ("-r", "-z", "--full-tree", "--end-of-options")
    listed = git.run(repository_path, "ls-tree", *options, commit, max_bytes=max_bytes)
    lines = listed.stdout[: listed.stdout.rfind(b"\0") + 1].decode("utf-8", "surrogateescape").split("\0")[:-1]
    entries = []
    for line in lines:
        about, _, path = line.partition("\t")
        mode, _kind, object_id = about.split(" ")
        entries.append(Entry(path, mode, object_id))
    return Listing(tuple(entries), is_truncated=listed.stdout_is_cut)


def read_blobs(repository_path: Path, ids: Sequence[str]) -> Iterator[Blob]:
    """Yield each of these blobs once. A blob above 4 MiB comes with only its beginning (is_cut).

    Raises ProviderRefused: `diff_too_large` if they exceed 128 MiB together, `no_blob` if one is missing.
    """
    wanted = list(dict.fromkeys(ids))
    sizes = {blob: size for batch in _batches(wanted) for blob, size in _sizes(repository_path, batch)}
    whole = [blob for blob in wanted if sizes[blob] <= _MAX_BLOB_BYTES]
    if sum(sizes[blob] for blob in whole) > _MAX_TOTAL_BYTES:
        limit = _MAX_TOTAL_BYTES // 2**20
        raise ProviderRefused(f"the files to compare exceed {limit} MiB together", code="diff_too_large")
    batch: list[str] = []
    for blob in whole:
        if batch and (len(batch) == _BATCH_BLOBS or sum(sizes[one] for one in batch) + sizes[blob] > _BATCH_BYTES):
            yield from _contents(repository_path, batch)
            batch = []
        batch.append(blob)
    if batch:
        yield from _contents(repository_path, batch)
    for blob in wanted:
        if sizes[blob] > _MAX_BLOB_BYTES:
            begun = git.run(repository_path, "cat-file", "blob", blob, max_bytes=SNIFFED_BYTES)
            yield Blob(blob, begun.stdout, is_cut=True)


def _batches(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), _BATCH_BLOBS):
        yield ids[start : start + _BATCH_BLOBS]


def _sizes(repository_path: Path, ids: list[str]) -> Iterator[tuple[str, int]]:
    asked = "".join(f"{blob}\n" for blob in ids).encode()
    listed = git.run(
        repository_path, "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", stdin=asked
    )
    for line in listed.line.splitlines():
        blob, kind, *size = line.split(" ")
        if kind != "blob":
            raise ProviderRefused(f"there is no file {blob}", code="no_blob")
        yield blob, int(size[0])


def _contents(repository_path: Path, ids: list[str]) -> Iterator[Blob]:
    """Parse git's answer: `id type size LF content LF` for each blob."""
    output = git.run(repository_path, "cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in ids).encode()).stdout
    at = 0
    while at < len(output):
        end = output.index(b"\n", at)
        blob, _kind, size = output[at:end].decode("ascii").split(" ")
        yield Blob(blob, output[end + 1 : end + 1 + int(size)])
        at = end + 1 + int(size) + 1
