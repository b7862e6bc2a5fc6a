"""The commits that one history has and another lacks, also where they name wrong times.

Git walks histories by the times that commits name and stops early, so `git rev-list head ^base` also lists commits of
base if several commits of base in a row name a time before that of the oldest ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.providers.forge import git

_MOST_CHECKED_BYTES = 32 * 2**20
"""Of a list of commits with their parents: about 400,000. A longer list is taken as git has it."""
_MOST_BOTTOMS = 50
"""Most commits that git compares with each other: this takes as many walks as there are commits."""


@dataclass(frozen=True)
class CommitsAhead:
    """What head has and base lacks. revisions: lines for `--stdin` of `git rev-list` and `git log`.

    parents: of each commit; None if there are too many to read.
    """

    revisions: bytes
    parents: dict[str, list[str]] | None


def read_ahead(path: Path, *, base: str, head: str) -> CommitsAhead:
    """Compare two existing commits."""
    revisions = [head, f"^{base}"]
    listed = git.run(path, "rev-list", "--parents", *revisions, max_bytes=_MOST_CHECKED_BYTES)
    if listed.stdout_is_cut:
        return CommitsAhead(_lines(revisions), None)
    parents = {commit: of for commit, *of in (line.split() for line in listed.stdout.decode("ascii").splitlines())}
    # A commit of base is among them only if one that has no parent among them is.
    bottoms = [commit for commit, of in parents.items() if parents.keys().isdisjoint(of)]
    if not bottoms or (len(bottoms) <= _MOST_BOTTOMS and not _has_any(path, base, bottoms)):
        return CommitsAhead(_lines(revisions), parents)
    below = git.run(path, "rev-list", base, max_bytes=_MOST_CHECKED_BYTES).stdout.decode("ascii").split()
    wrong = parents.keys() & set(below)
    return CommitsAhead(
        _lines(revisions + [f"^{commit}" for commit in wrong]),
        {commit: of for commit, of in parents.items() if commit not in wrong},
    )


def _has_any(path: Path, base: str, commits: list[str]) -> bool:
    """Whether base contains one of the commits; none of them contains another one."""
    independent = git.run(path, "merge-base", "--independent", base, *commits).stdout.decode("ascii").split()
    return not set(commits) <= set(independent)


def _lines(revisions: list[str]) -> bytes:
    return "".join(f"{one}\n" for one in revisions).encode("ascii")
