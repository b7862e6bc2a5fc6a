"""What a commit changed since it branched off another, read from git in a form that no file name can forge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from common.errors import ProviderRefused
from common.providers.forge import git
from common.providers.forge.forge_protocol import Diff, FileDiff
from common.providers.forge.history import require_bounded
from common.providers.forge.renames import diff_tree

# Callers check the list of files and must see all of it: a longer list is refused, never cut.
_MAX_LIST_BYTES = 16 * 2**20
_OPTIONS = ("-r", "--no-ext-diff", "--no-textconv", "--no-color", "--no-commit-id")
_STATUSES = {"A": "added", "D": "deleted", "R": "renamed"}


def read_diff(repository_path: Path, *, merge_base: str, base: str, head: str, max_bytes: int) -> Diff:
    """Return the diff from merge_base to head. All three are SHAs of existing commits; base is only reported back.

    Raises ProviderRefused: `too_large` if a commit has too many files, `diff_too_large` if too many changed.
    """
    require_bounded(repository_path, merge_base, head)
    listed, renames = diff_tree(
        repository_path, *_OPTIONS, "-z", "--raw", "--numstat", merge_base, head, max_bytes=_MAX_LIST_BYTES
    )
    if listed.stdout_is_cut:
        raise ProviderRefused(f"{head} changes too many files to list", code="diff_too_large")
    patch = git.run(
        repository_path, "diff-tree", renames, *_OPTIONS, "-p", merge_base, head, max_bytes=max_bytes,
        config=(("core.quotePath", "false"),),
    )  # fmt: skip
    text = patch.stdout
    if patch.stdout_is_cut:
        # Cut at the end of a line, so that no multi-byte character is split.
        text = text[: text.rfind(b"\n") + 1]
    return Diff(
        base_sha=base,
        head_sha=head,
        files=tuple(_files(listed.stdout)),
        patch=text.decode("utf-8", "replace"),
        is_truncated=patch.stdout_is_cut,
    )


def _files(listing: bytes) -> Iterator[FileDiff]:
    """First come all the raw entries (`:modes ids status NUL path NUL`), then the counts in the same order."""
    words = iter(listing.decode("utf-8", "replace").split("\0"))
    entries: list[tuple[str, str, str | None]] = []
    for word in words:
        if not word.startswith(":"):
            break
        status = word.rsplit(" ", 1)[1][0]
        path, old_path = next(words), None
        if status == "R":
            path, old_path = next(words), path
        entries.append((path, _STATUSES.get(status, "modified"), old_path))
    for path, status, old_path in entries:
        added, deleted, name = word.split("\t", 2)
        if not name:
            # The counts of a rename are followed by its two paths as separate words.
            next(words), next(words)
        yield FileDiff(
            path=path,
            status=status,
            additions=None if added == "-" else int(added),
            deletions=None if deleted == "-" else int(deleted),
            old_path=old_path,
        )
        word = next(words, "")
