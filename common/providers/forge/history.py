"""Commits and refs of one bare repository: reading them, comparing and merging histories, moving refs safely.

Every SHA of a caller is first resolved to an existing commit, because git gives the same answer for "does not merge"
and "no such commit". A ref moves only by compare-and-swap.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from common.errors import CutShort, ProviderRefused, ProviderUnavailable
from common.machine.git import checkout_sizes
from common.machine.git.limits import limits_prefix
from common.machine.text import storable
from common.providers.forge import git, loose_refs
from common.providers.forge.commits_ahead import read_ahead
from common.providers.forge.forge_protocol import Commit, Commits, MergeConflict, Merged
from common.values.names import SHA_PATTERN

LONGEST_SUBJECT = 300
LONGEST_AUTHOR = 100
LATEST_SECONDS = 253_402_300_799
"""The end of the year 9999."""
MOST_BASES = 16
"""Most merge bases of two commits that are merged with each other."""

_IN_THE_WAY = re.compile(r"'refs/heads/([^']+)' exists; cannot create")


def commit_at(path: Path, sha: str) -> str:
    """Return the same SHA if it is a commit of this repository; else raise ProviderRefused (`no_commit`)."""
    if not SHA_PATTERN.fullmatch(sha):
        raise ProviderRefused(f"{sha!r} is not a full commit SHA", code="no_commit")
    if loose_refs.is_commit(path, sha):
        return sha
    found = git.run(
        path, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{sha}^{{commit}}", accept=(0, 1, 128)
    )
    if found.line != sha:
        raise ProviderRefused(f"there is no commit {sha} in {path.stem}", code="no_commit")
    return sha


@functools.lru_cache(maxsize=4096)
def require_bounded(path: Path, *commits: str) -> None:
    """Raise ProviderRefused (`too_large`) if one of the commits has too many files to list, compare or check out.

    Called before every command that walks the tree: not every server checks this when a commit is pushed.
    """
    try:
        checkout_sizes.require_bounded(
            commits, git=[*limits_prefix(), "git"], environ=git.environment() | {"GIT_DIR": str(path)}
        )
    except checkout_sizes.TooLarge as error:
        raise ProviderRefused(f"{_named(commits)} is too large: {error}", code="too_large") from error
    except checkout_sizes.TookTooLong as error:
        raise CutShort(f"{_named(commits)}: {error}", retry_after_seconds=checkout_sizes.MOST_SECONDS) from error
    except (checkout_sizes.Unreadable, OSError) as error:
        raise ProviderUnavailable(f"the files of {_named(commits)} in {path.stem} can't be listed: {error}") from error


def _named(commits: Sequence[str]) -> str:
    return f"commit {commits[0]}" if len(commits) == 1 else f"one of the commits {', '.join(commits)}"


def read_ref(path: Path, ref: str) -> str | None:
    """Return the commit of exactly this ref (annotated tags are peeled); None if there is no such ref."""
    head = loose_refs.head_of(path, ref)
    if head is not None:
        return head
    # rev-parse would also find refs/tags/refs/heads/x for refs/heads/x; for-each-ref matches the full name only.
    listed = git.run(path, "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", ref).line
    for line in listed.splitlines():
        name, *ids = line.split()
        if name == ref:
            return ids[-1]
    return None


def required_head(path: Path, ref: str) -> str:
    """As read_ref, but raises ProviderRefused (`no_branch`) instead of returning None."""
    head = read_ref(path, ref)
    if head is None:
        raise ProviderRefused(f"there is no branch {ref.removeprefix('refs/heads/')} in {path.stem}", code="no_branch")
    return head


def move(path: Path, ref: str, *, new: str, old: str | None) -> bool:
    """Move the ref from `old` (None: it does not exist) to `new`. Returns False if the ref is not at `old`."""
    answer = git.run(path, "update-ref", "--no-deref", ref, new, old or git.ZERO_SHA, accept=())
    if answer.code == 0:
        return True
    if read_ref(path, ref) != old:
        return False
    if "cannot create" in answer.stderr and "exists" in answer.stderr:
        raise ref_conflict(ref.removeprefix("refs/heads/").removeprefix("refs/tags/"), answer.reason)
    raise ProviderUnavailable(f"{ref} of {path.stem} can't be moved: {answer.reason}")


def ref_conflict(name: str, message: str) -> ProviderRefused:
    """The error for a branch or tag that git refuses to create beside another one: `release/x` beside `release`.

    message: git's, which names the other one. What to do about a tag is the caller's to say.
    """
    found = _IN_THE_WAY.search(message)
    if found is None:
        return ProviderRefused(f"{name} conflicts with an existing ref: {message[:300]}", code="bad_name")
    other = found[1]
    return ProviderRefused(
        f"{name} conflicts with an existing ref, the branch {other}: delete or rename that one, then try again",
        code="bad_name",
    )


def create(path: Path, ref: str, *, at: str) -> bool:
    """Create the branch at this commit. Returns False if git refuses, for whatever reason: it exists, for one."""
    if loose_refs.create(path, ref, at=at):
        return True
    return git.run(path, "update-ref", "--no-deref", ref, at, git.ZERO_SHA, accept=()).code == 0


def contains(path: Path, *, ancestor: str, head: str) -> bool:
    """Whether ancestor is head or one of its ancestors; both commits exist."""
    return git.run(path, "merge-base", "--is-ancestor", ancestor, head, accept=(0, 1)).code == 0


def merge_base(path: Path, one: str, other: str) -> str:
    """Return the only merge base of two commits, to decide by what changed since.

    Raises ProviderRefused: `unrelated` if they share no history, `several_bases` if they have more than one: what is
    changed since one of them may be as it was at another.
    """
    found = _merge_bases(path, one, other)
    if len(found) > 1:
        raise ProviderRefused(f"{one} and {other} have {len(found)} merge bases", code="several_bases")
    return found[0]


def virtual_base(path: Path, one: str, other: str) -> str:
    """Return the SHA of a commit to compare with: the only merge base of two commits, or all of them merged.

    Git merges several bases in the same way when it merges the two commits. The commit that is made is on no branch.
    Where the bases conflict, its files have conflict markers, so a person who compares with it sees more than was
    changed. Raises ProviderRefused: `unrelated`; `too_large` as require_bounded; `diff_too_large` if there are more
    than MOST_BASES.
    """
    first, *others = _merge_bases(path, one, other)
    if len(others) >= MOST_BASES:
        raise ProviderRefused(f"{one} and {other} have more than {MOST_BASES} merge bases", code="diff_too_large")
    made = first
    for base in others:
        require_bounded(path, made, base)
        options = ("--write-tree", "--allow-unrelated-histories", "-z", "--name-only", "--no-messages")
        merged = git.run(path, "merge-tree", *options, made, base, accept=(0, 1))
        tree = merged.stdout.split(b"\0", 1)[0].decode("ascii").strip()
        made = git.run(path, "commit-tree", tree, "-p", made, "-p", base, stdin=b"Merge bases").line
    return made


def _merge_bases(path: Path, one: str, other: str) -> list[str]:
    """At least one. Raises ProviderRefused (`unrelated`) if the two commits share no history."""
    found = git.run(path, "merge-base", "--all", one, other, accept=(0, 1))
    if found.code == 1:
        raise ProviderRefused(f"{one} and {other} have no history in common", code="unrelated")
    return found.line.split()


def tree_of(path: Path, commit: str) -> str:
    """Return the SHA of an existing commit's tree."""
    return git.run(path, "rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}").line


def parents(path: Path, commit: str) -> list[str]:
    """Return a commit's parents in git's order."""
    return git.run(path, "rev-list", "--parents", "--max-count=1", commit).line.split()[1:]


def merged_tree(path: Path, head: str, commit: str) -> str | MergeConflict:
    """Merge two existing commits and return the SHA of the resulting tree. Moves nothing.

    The attributes of head's files count, such as `merge=union`: as where somebody has it checked out and merges.
    Raises ProviderRefused: `unrelated` if they share no history, and as require_bounded (`too_large`).
    """
    _merge_bases(path, head, commit)
    require_bounded(path, head, commit)
    result = git.run(
        path, "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", head, commit, accept=(0, 1),
        # From git 2.43 on; before, attributes in a bare repository are not read.
        config=(("attr.tree", head),),
    )  # fmt: skip
    tree, *files = result.stdout.decode("utf-8", "replace").split("\0")
    if result.code == 0:
        return tree.strip()
    # What can't stand at one path, such as a file and a link, git puts beside it under a name with the commit's.
    marks = (f"~{head}", f"~{commit}")
    paths = {next((file.removesuffix(mark) for mark in marks if file.endswith(mark)), file) for file in files if file}
    return MergeConflict(tuple(sorted(paths)))


def merge(
    path: Path, *, branch: str, head: str, commit: str, expected_head: str, message: str
) -> str | Merged | MergeConflict:
    """Create a merge commit of `commit` into the branch's head and return its SHA. Does not move the branch.

    Returns Merged if the branch contains the commit already or holds exactly this merge, after a lost answer. Raises
    ProviderRefused (`head_moved`) if the branch is at another commit.
    """
    if head != expected_head:
        # After a lost answer, the head may already be the merge that was asked for.
        if parents(path, head) == [expected_head, commit]:
            return Merged(head)
        raise head_moved(branch, head, expected_head)
    if contains(path, ancestor=commit, head=head):
        return Merged(head)
    tree = merged_tree(path, head, commit)
    if isinstance(tree, MergeConflict):
        return tree
    text = storable(message).encode()
    return git.run(path, "commit-tree", tree, "-p", head, "-p", commit, stdin=text).line


def head_moved(branch: str, found: str | None, expected: str | None) -> ProviderRefused:
    """The error for a branch that is not at the expected commit. None: the branch does not exist, or should not."""
    actual = f"is at {found}" if found else "does not exist"
    wanted = f"at {expected}" if expected else "not to exist"
    return ProviderRefused(f"the branch {branch} {actual}; it was expected {wanted}", code="head_moved")


def read_commits(path: Path, *, base: str, head: str, limit: int) -> Commits:
    """As Forge.read_commits; both commits exist."""
    found = read_ahead(path, base=base, head=head)
    if found.parents is None:
        total = int(git.run(path, "rev-list", "--no-merges", "--count", "--stdin", stdin=found.revisions).line)
    else:
        total = sum(len(of) < 2 for of in found.parents.values())
    listed = git.run(
        path, "log", "-z", "--no-color", "--no-merges", f"--max-count={limit}", "--format=%H%n%ct%n%an%n%s", "--stdin",
        stdin=found.revisions, config=(("log.showSignature", "false"),),
    )  # fmt: skip
    records = [record.split("\n", 3) for record in listed.stdout.decode("utf-8", "replace").split("\0")]
    return Commits(
        tuple(
            Commit(record[0], record[3][:LONGEST_SUBJECT], record[2][:LONGEST_AUTHOR], _time_of(record[1]))
            for record in records
            if len(record) == 4
        ),
        total,
    )


def _time_of(seconds: str) -> datetime:
    """A commit names its own time: one that no clock can show becomes the nearest that can.

    seconds: digits; empty if git can't read the commit's time, which becomes 1970.
    """
    is_late = len(seconds) > len(str(LATEST_SECONDS))
    return datetime.fromtimestamp(LATEST_SECONDS if is_late else min(int(seconds or 0), LATEST_SECONDS), UTC)


def read_file(path: Path, *, commit: str, name: str, max_bytes: int) -> bytes | None:
    """Return a file's content at a commit; None if there is no such file. Raises ProviderRefused above max_bytes."""
    if "\0" in name or any(part in {"", ".", ".."} for part in name.split("/")):
        return None
    wanted = name.encode("utf-8", "surrogateescape")
    listed = git.run(path, "ls-tree", "-z", "-l", "--full-tree", commit, "--", os.fsdecode(wanted)).stdout
    entry, _, found = listed.removesuffix(b"\0").partition(b"\t")
    # Only a regular file counts: not a directory, and not a symbolic link, whose blob is the path of its target.
    if found != wanted or not entry.startswith(b"100"):
        return None
    _, _, blob, size = entry.decode("ascii").split()
    if int(size) > max_bytes:
        raise ProviderRefused(f"{name} has {size} bytes, more than {max_bytes}", code="too_large")
    return git.run(path, "cat-file", "blob", blob).stdout
