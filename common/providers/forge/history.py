"""Commits and refs of one bare repository: what is there, how two histories relate, and moving a ref safely.

Whatever a caller names is first resolved to a commit that exists, because git answers alike for "does not merge" and
"no such thing". A ref moves only by compare-and-swap.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

from common.errors import CutShort, ProviderRefused, ProviderUnavailable
from common.machine import git_trees
from common.machine.git_limits import leash
from common.machine.text import storable
from common.names import SHA_PATTERN
from common.providers.forge import git
from common.providers.forge.protocol import MergeConflict, Merged


def commit_at(path: Path, sha: str) -> str:
    """The same SHA, if it is a commit of this repository; else ProviderRefused (`no_commit`)."""
    if not SHA_PATTERN.fullmatch(sha):
        raise ProviderRefused(f"{sha!r} is not a full commit SHA", code="no_commit")
    found = git.run(
        path, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{sha}^{{commit}}", accept=(0, 1, 128)
    )
    if found.line != sha:
        raise ProviderRefused(f"there is no commit {sha} in {path.stem}", code="no_commit")
    return sha


@functools.lru_cache(maxsize=4096)
def require_bounded(path: Path, commit: str) -> None:
    """The commit's files can be listed, compared and checked out; ProviderRefused (`too_large`) if they are too many.

    Asked before every command that walks them: such a commit may have been pushed to a server that does not look.
    """
    try:
        git_trees.require_bounded([commit], git=[*leash(), "git"], environ=git.environment() | {"GIT_DIR": str(path)})
    except git_trees.TooLarge as error:
        raise ProviderRefused(f"{commit} is too large to work with: {error}", code="too_large") from error
    except git_trees.TookTooLong as error:
        raise CutShort(f"{commit}: {error}", retry_after_seconds=git_trees.MOST_SECONDS) from error
    except (git_trees.Unreadable, OSError) as error:
        raise ProviderUnavailable(f"the files of {commit} in {path.stem} can't be listed: {error}") from error


def read_ref(path: Path, ref: str) -> str | None:
    """The commit that exactly this ref names (an annotated tag's commit), None if there is no such ref."""
    # rev-parse would also find refs/tags/refs/heads/x for refs/heads/x; this looks at no other place.
    listed = git.run(path, "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", ref).line
    for line in listed.splitlines():
        name, *ids = line.split()
        if name == ref:
            return ids[-1]
    return None


def required_head(path: Path, ref: str) -> str:
    """What read_ref returns; ProviderRefused (`no_branch`) where that is None."""
    head = read_ref(path, ref)
    if head is None:
        raise ProviderRefused(f"there is no branch {ref.removeprefix('refs/heads/')} in {path.stem}", code="no_branch")
    return head


def move(path: Path, ref: str, *, new: str, old: str | None) -> bool:
    """Point the ref at `new` if it is at `old` (None: if it isn't there). False if it is elsewhere by now."""
    answer = git.run(path, "update-ref", "--no-deref", ref, new, old or git.ZERO_SHA, accept=())
    if answer.code == 0:
        return True
    if read_ref(path, ref) != old:
        return False
    if "cannot create" in answer.stderr and "exists" in answer.stderr:
        raise ProviderRefused(f"{ref} can't be made beside the refs that exist: {answer.reason}", code="bad_name")
    raise ProviderUnavailable(f"{ref} of {path.stem} can't be moved: {answer.reason}")


def contains(path: Path, *, ancestor: str, head: str) -> bool:
    """Whether head's history holds ancestor; both are commits that exist."""
    return git.run(path, "merge-base", "--is-ancestor", ancestor, head, accept=(0, 1)).code == 0


def merge_base(path: Path, one: str, other: str) -> str:
    """Where two commits parted. ProviderRefused (`unrelated`) if they never had anything in common."""
    found = git.run(path, "merge-base", one, other, accept=(0, 1))
    if found.code == 1:
        raise ProviderRefused(f"{one} and {other} have no history in common", code="unrelated")
    return found.line


def parents(path: Path, commit: str) -> list[str]:
    """A commit's parents, the first first."""
    return git.run(path, "rev-list", "--parents", "--max-count=1", commit).line.split()[1:]


def merged_tree(path: Path, head: str, commit: str) -> str | MergeConflict:
    """The tree that merging two existing commits gives. Moves nothing. ProviderRefused as merge_base (`unrelated`)
    and require_bounded (`too_large`).
    """
    merge_base(path, head, commit)
    require_bounded(path, head)
    require_bounded(path, commit)
    result = git.run(
        path, "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", head, commit, accept=(0, 1)
    )
    tree, *files = result.stdout.decode("utf-8", "replace").split("\0")
    if result.code == 0:
        return tree.strip()
    return MergeConflict(tuple(sorted({file for file in files if file})))


def merge(
    path: Path, *, branch: str, head: str, commit: str, expected_head: str, message: str
) -> str | Merged | MergeConflict:
    """A merge of the commit into the branch's head, which nothing points at yet: its SHA.

    Merged where the branch has it already, also where an earlier answer was lost. ProviderRefused if the branch is
    somewhere else.
    """
    if head != expected_head:
        # After a lost answer, the merge that was asked for may be exactly what is there.
        if parents(path, head) == [expected_head, commit]:
            return Merged(head)
        raise head_moved(branch, head, expected_head)
    if contains(path, ancestor=commit, head=head):
        return Merged(head)
    tree = merged_tree(path, head, commit)
    if isinstance(tree, MergeConflict):
        return tree
    said = storable(message).encode()
    return git.run(path, "commit-tree", tree, "-p", head, "-p", commit, stdin=said).line


def head_moved(branch: str, found: str | None, expected: str | None) -> ProviderRefused:
    """None: the branch is not there, or should not have been."""
    there = f"at {found}" if found else "not there"
    wanted = f"at {expected}" if expected else "not there"
    return ProviderRefused(f"the branch {branch} is {there}; it was expected {wanted}", code="head_moved")


def read_file(path: Path, *, commit: str, name: str, max_bytes: int) -> bytes | None:
    """A file's content at a commit; None where there is no such file. ProviderRefused if it is larger."""
    if "\0" in name or any(part in {"", ".", ".."} for part in name.split("/")):
        return None
    wanted = name.encode("utf-8", "surrogateescape")
    listed = git.run(path, "ls-tree", "-z", "-l", "--full-tree", commit, "--", os.fsdecode(wanted)).stdout
    entry, _, found = listed.removesuffix(b"\0").partition(b"\t")
    # Only a file's own entry counts: not a directory, not a link, whose content would be where it leads.
    if found != wanted or not entry.startswith(b"100"):
        return None
    _, _, blob, size = entry.decode("ascii").split()
    if int(size) > max_bytes:
        raise ProviderRefused(f"{name} has {size} bytes, more than {max_bytes}", code="too_large")
    return git.run(path, "cat-file", "blob", blob).stdout
