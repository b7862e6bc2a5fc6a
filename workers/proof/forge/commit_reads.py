"""What the forge says of commits, asked once in a process: they don't change, and a waiting job looks each second."""

from __future__ import annotations

import functools

from common.providers.forge import Change, Forge, MergeConflict
from common.values.repository import Repository


# Few, as a commit may change very many files.
@functools.lru_cache(maxsize=16)
def changes_between(forge: Forge, repository: Repository, *, base: str, head: str) -> tuple[Change, ...]:
    """As Forge.read_changes."""
    return tuple(forge.read_changes(repository, base=base, head=head))


@functools.lru_cache(maxsize=1024)
def merge_base_of(forge: Forge, repository: Repository, *, base: str, head: str) -> str:
    """As Forge.read_merge_base."""
    return forge.read_merge_base(repository, base=base, head=head)


@functools.lru_cache(maxsize=1024)
def conflict_of(forge: Forge, repository: Repository, *, base: str, commit: str) -> MergeConflict | None:
    """As Forge.try_merge."""
    return forge.try_merge(repository, base=base, commit=commit)


@functools.lru_cache(maxsize=1024)
def taken_back_by(forge: Forge, repository: Repository, *, base: str, head: str) -> tuple[str, ...]:
    """As Forge.read_dropped_changes."""
    return tuple(forge.read_dropped_changes(repository, base=base, head=head))


@functools.lru_cache(maxsize=1024)
def undone_by(forge: Forge, repository: Repository, *, base: str, onto: str, head: str) -> tuple[str, ...]:
    """As Forge.read_changes_undone_by_merge."""
    return tuple(forge.read_changes_undone_by_merge(repository, base=base, onto=onto, head=head))
