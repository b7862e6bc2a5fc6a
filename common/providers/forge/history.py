"""Commits and refs of one bare repository: what is there, how two histories relate, and moving a ref safely.

Whatever a caller names is first resolved to a commit that exists, because git answers alike for "does not merge" and
"no such thing". A ref moves only by compare-and-swap.
"""

from __future__ import annotations

from pathlib import Path

from common.errors import ProviderRefused, ProviderUnavailable
from common.names import SHA_PATTERN
from common.providers.forge import git
from common.providers.forge.protocol import MergeConflict


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
    """The tree that merging two existing commits gives. Moves nothing. ProviderRefused (`unrelated`) as merge_base."""
    merge_base(path, head, commit)
    result = git.run(
        path, "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", head, commit, accept=(0, 1)
    )
    tree, *files = result.stdout.decode("utf-8", "replace").split("\0")
    if result.code == 0:
        return tree.strip()
    return MergeConflict(tuple(sorted({file for file in files if file})))
