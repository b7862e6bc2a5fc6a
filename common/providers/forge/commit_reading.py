"""What both forges read from a bare repository on this machine: one of their own, or the mirror of a server's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from common.providers.forge import changes, history, merges
from common.providers.forge.diffs import read_diff
from common.providers.forge.forge_protocol import Blob, Change, Commits, Diff, Listing, MergeConflict
from common.values.repository import Repository


class BareRepository(Protocol):
    @property
    def path(self) -> Path: ...

    def commit(self, sha: str) -> str:
        """Return the same SHA. Raises ProviderRefused (`no_commit`) if the repository has no such commit."""


class CommitReading(ABC):
    """The methods of the Forge protocol that only read commits. See the protocol for what they guarantee."""

    @abstractmethod
    def _bare(self, repository: Repository) -> BareRepository:
        """Raises ProviderRefused (`no_repository`, `foreign`)."""

    def contains(self, repository: Repository, *, ancestor: str, head: str) -> bool:
        bare = self._bare(repository)
        return history.contains(bare.path, ancestor=bare.commit(ancestor), head=bare.commit(head))

    def diff(self, repository: Repository, *, base: str, head: str, max_bytes: int = 2_000_000) -> Diff:
        bare = self._bare(repository)
        base, head = bare.commit(base), bare.commit(head)
        left_at = history.virtual_base(bare.path, base, head)
        return read_diff(bare.path, merge_base=left_at, base=base, head=head, max_bytes=max_bytes)

    def read_commits(self, repository: Repository, *, base: str, head: str, limit: int = 200) -> Commits:
        bare = self._bare(repository)
        return history.read_commits(bare.path, base=bare.commit(base), head=bare.commit(head), limit=limit)

    def read_changes(self, repository: Repository, *, base: str, head: str) -> tuple[Change, ...]:
        bare = self._bare(repository)
        base, head = bare.commit(base), bare.commit(head)
        return changes.read_changes(bare.path, merge_base=history.merge_base(bare.path, base, head), head=head)

    def read_merge_base(self, repository: Repository, *, base: str, head: str) -> str:
        bare = self._bare(repository)
        return history.merge_base(bare.path, bare.commit(base), bare.commit(head))

    def read_dropped_changes(self, repository: Repository, *, base: str, head: str) -> tuple[str, ...]:
        bare = self._bare(repository)
        return merges.read_dropped_changes(bare.path, base=bare.commit(base), head=bare.commit(head))

    def read_changes_undone_by_merge(
        self, repository: Repository, *, base: str, onto: str, head: str
    ) -> tuple[str, ...]:
        bare = self._bare(repository)
        base, onto, head = (bare.commit(sha) for sha in (base, onto, head))
        return merges.read_changes_undone_by_merge(bare.path, base=base, onto=onto, head=head)

    def read_blobs(self, repository: Repository, ids: Sequence[str]) -> Iterator[Blob]:
        return changes.read_blobs(self._bare(repository).path, ids)

    def list_files(self, repository: Repository, *, commit: str, max_bytes: int = 8 * 2**20) -> Listing:
        bare = self._bare(repository)
        return changes.list_files(bare.path, bare.commit(commit), max_bytes=max_bytes)

    def read_file(self, repository: Repository, *, commit: str, path: str, max_bytes: int = 100_000) -> bytes | None:
        bare = self._bare(repository)
        return history.read_file(bare.path, commit=bare.commit(commit), name=path, max_bytes=max_bytes)

    def try_merge(self, repository: Repository, *, base: str, commit: str) -> MergeConflict | None:
        bare = self._bare(repository)
        result = history.merged_tree(bare.path, bare.commit(base), bare.commit(commit))
        return result if isinstance(result, MergeConflict) else None

    def read_tree(self, repository: Repository, commit: str) -> str:
        bare = self._bare(repository)
        return history.tree_of(bare.path, bare.commit(commit))
