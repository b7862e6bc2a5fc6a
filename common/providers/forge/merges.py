"""What one branch takes back of another: by merges such as `git merge -s ours`, and where both are merged in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from posixpath import basename

from common.errors import ProviderRefused
from common.providers.forge import git, history
from common.providers.forge.changes import read_changes
from common.providers.forge.commits_ahead import read_ahead
from common.providers.forge.forge_protocol import Change, Entry

MOST_MERGES = 50

Leaf = tuple[str, str] | None
"""Mode and object id of a path; None: there is none."""


def read_dropped_changes(path: Path, *, base: str, head: str) -> tuple[str, ...]:
    """The paths, sorted, that a merge between base and head has as they were before base's own history changed them,
    although nothing on the other side had touched them, and that head still has so.

    Raises ProviderRefused: `diff_too_large` if there are more than MOST_MERGES merges, and as read_changes.
    """
    revisions = read_ahead(path, base=base, head=head).revisions
    most = f"--max-count={MOST_MERGES + 1}"
    listed = git.run(path, "rev-list", "--merges", "--parents", most, "--stdin", stdin=revisions)
    merges = [line.split() for line in listed.stdout.decode("ascii").splitlines()]
    if len(merges) > MOST_MERGES:
        raise ProviderRefused(
            f"{head} has more than {MOST_MERGES} merges: put its work on one commit", code="diff_too_large"
        )
    dropped = {name for merge, *parents in merges for name in _dropped(path, base, merge, parents)}
    if not dropped:
        return ()
    return tuple(sorted(dropped & _changed(path, base, head)))


def read_changes_undone_by_merge(path: Path, *, base: str, onto: str, head: str) -> tuple[str, ...]:
    """The paths, sorted, in which merging head into onto takes back work, though neither has them changed since base.

    Either head has commits of onto and took back what these changed, or onto has head and took back what head changed.
    onto contains base. Raises ProviderRefused as read_changes.
    """
    if history.contains(path, ancestor=head, head=onto):
        return tuple(sorted(_changed(path, base, head) - _changed(path, base, onto)))
    if history.virtual_base(path, base, head) == history.virtual_base(path, onto, head):
        # The usual case: head has no commit of onto that base does not have.
        return ()
    return tuple(sorted(_changed(path, onto, head) - _changed(path, base, head)))


def _changed(path: Path, base: str, head: str) -> set[str]:
    below = history.virtual_base(path, base, head)
    return {name for name, _old, _new in _leaves(read_changes(path, merge_base=below, head=head))}


def _dropped(path: Path, base: str, merge: str, parents: Sequence[str]) -> Iterator[str]:
    for theirs in parents:
        if not history.contains(path, ancestor=theirs, head=base):
            continue
        for ours in parents:
            if ours != theirs:
                yield from _dropped_from(path, theirs, ours, merge)


def _dropped_from(path: Path, theirs: str, ours: str, merge: str) -> Iterator[str]:
    try:
        below = history.virtual_base(path, theirs, ours)
    except ProviderRefused as error:
        if error.code != "unrelated":
            raise
        return
    touched = {name for name, _old, _new in _leaves(read_changes(path, merge_base=below, head=ours))}
    changes = read_changes(path, merge_base=theirs, head=merge)
    # Where ours renamed a folder, git moves along what theirs added to it.
    made = {name: new for name, _old, new in _leaves([one for one in changes if not _is_in_other_folder(one)])}
    for name, old, _new in _leaves(read_changes(path, merge_base=below, head=theirs)):
        if name not in touched and name in made and made[name] == old:
            yield name


def _is_in_other_folder(change: Change) -> bool:
    """Whether the file has moved to another folder, with its name."""
    before, after = change.before, change.after
    if before is None or after is None or before.path == after.path:
        return False
    return basename(before.path) == basename(after.path)


def _leaves(changes: Sequence[Change]) -> Iterator[tuple[str, Leaf, Leaf]]:
    """Each path that differs, with what it was and is; both paths of a rename."""
    for change in changes:
        before, after = change.before, change.after
        if before is not None and after is not None and before.path == after.path:
            yield before.path, _leaf(before), _leaf(after)
            continue
        if before is not None:
            yield before.path, _leaf(before), None
        if after is not None:
            yield after.path, None, _leaf(after)


def _leaf(entry: Entry) -> Leaf:
    return entry.mode, entry.object_id
