"""What a forge is to AiWorker: where the code, its branches and its pull requests live.

Verbs are `ensure_`, `read_` and `delete_`. Ensuring what exists and deleting what is absent succeed, so every call
may be made again after a lost answer. Names are computed by the caller, never fetched. Commits are full 40-digit
SHAs. Every method raises ProviderUnavailable when the same call may work later and ProviderRefused when it won't;
a repository that is not there is ProviderRefused with the code `no_repository`, an unknown commit `no_commit`, an
unknown branch `no_branch`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from common.values.pull_request import PullComment, PullRequest
from common.values.repository import Credential, Repository, Source


@dataclass(frozen=True)
class RepositoryState:
    """default_head: the SHA of the default branch (there is always one: an empty repository gets it)."""

    url: str
    default_branch: str
    default_head: str


@dataclass(frozen=True)
class FileDiff:
    """status: added, modified, deleted, renamed. additions and deletions are None for a binary file.

    old_path is the path before a rename, None otherwise.
    """

    path: str
    status: str
    additions: int | None
    deletions: int | None
    old_path: str | None = None


@dataclass(frozen=True)
class Diff:
    """What head changed since it left base (a three-dot diff). patch is unified; is_truncated when it was cut."""

    base_sha: str
    head_sha: str
    files: tuple[FileDiff, ...]
    patch: str
    is_truncated: bool = False


@dataclass(frozen=True)
class Entry:
    """A leaf of a commit's tree. mode: git's six digits. object_id: of its blob; of a submodule, of its commit.

    What is no UTF-8 in a path is kept as lone surrogates (Python's surrogateescape).
    """

    path: str
    mode: str
    object_id: str

    @property
    def is_file(self) -> bool:
        return self.mode.startswith("100")

    @property
    def leads_elsewhere(self) -> bool:
        """A symbolic link or a submodule: what stands below its path in a checkout is not in this tree."""
        return self.mode in {"120000", "160000"}


@dataclass(frozen=True)
class Change:
    """An entry that two commits have different. before None: it was added; after None: it was deleted."""

    before: Entry | None
    after: Entry | None


@dataclass(frozen=True)
class Listing:
    """The files of a commit's tree with their paths, in git's order. is_truncated: there are more."""

    entries: tuple[Entry, ...]
    is_truncated: bool


@dataclass(frozen=True)
class Blob:
    """A file's content. is_cut: it is too large to be read, and `content` only its first 8,000 bytes."""

    object_id: str
    content: bytes
    is_cut: bool = False


@dataclass(frozen=True)
class Merged:
    """commit is the new head of the target branch: its old head if that held the commit already."""

    commit: str


@dataclass(frozen=True)
class MergeConflict:
    """The two can't be merged: the paths that conflict, sorted. The target branch was not touched."""

    files: tuple[str, ...]


class Forge(Protocol):
    """One forge. See the module for what every verb promises."""

    def ping(self) -> None:
        """Return if the forge can serve; ProviderUnavailable with the reason if not."""

    def ensure_repository(
        self, repository: Repository, *, default_branch: str, description: str, import_url: str | None
    ) -> RepositoryState:
        """The repository exists, is ours, and has a default branch with at least one commit.

        import_url None: it starts with one commit holding a README.md. Otherwise it holds the whole history
        (branches and tags) of that http(s) address, and its default branch is `default_branch`, or what the
        source's HEAD names where it has no branch of that name. A half-made one is completed; one whose marker names
        another project is refused (`foreign`); an address that can't be cloned is refused (`import_failed`).
        """

    def delete_repository(self, repository: Repository) -> None:
        """It is gone with all its pull requests and credentials. One of another project is left alone and refused."""

    def ensure_branch(self, repository: Repository, branch: str, *, at: str) -> str:
        """The branch exists; returns its head. `at` (a SHA) is where a new one starts."""

    def read_head(self, repository: Repository, branch: str) -> str | None:
        """The SHA that the branch points at, None if there is no such branch."""

    def contains(self, repository: Repository, *, ancestor: str, head: str) -> bool:
        """Whether head's history holds ancestor (equal counts)."""

    def diff(self, repository: Repository, *, base: str, head: str, max_bytes: int = 2_000_000) -> Diff:
        """What `head` changed since it left `base`, for people to read; both are SHAs. Decide nothing by the patch."""

    def read_changes(self, repository: Repository, *, base: str, head: str) -> tuple[Change, ...]:
        """Every entry that `head` has different since it left `base`; both are SHAs.

        Refused (`unrelated`) where they have no history in common, (`diff_too_large`) where the list is too long.
        """

    def read_blobs(self, repository: Repository, ids: Sequence[str]) -> Iterator[Blob]:
        """Each of these blobs once, in any order.

        Refused (`diff_too_large`) where they have more than 128 MiB together, (`no_blob`) where one is missing.
        """

    def list_files(self, repository: Repository, *, commit: str) -> Listing:
        """What the commit (a SHA) holds: at least its first 50,000 files of customary names."""

    def read_file(self, repository: Repository, *, commit: str, path: str, max_bytes: int = 100_000) -> bytes | None:
        """A file's content at a commit, None where there is no such file. Longer than max_bytes is refused."""

    def try_merge(self, repository: Repository, *, base: str, commit: str) -> MergeConflict | None:
        """Whether commit merges cleanly into base (both SHAs); None if so. Moves nothing."""

    def merge(
        self, repository: Repository, *, into: str, commit: str, expected_head: str, message: str
    ) -> Merged | MergeConflict:
        """Merge `commit` (a SHA) into the branch `into`, whose head must be `expected_head`.

        Always a merge commit of its own, unless into's head holds the commit already. A head that moved is refused
        (`head_moved`); nothing is touched then. After a lost answer read_head tells: the new head has
        expected_head as its first parent.
        """

    def advance(self, repository: Repository, branch: str, *, old: str | None, new: str, force: bool = False) -> None:
        """Point the branch at `new`, by compare-and-swap from `old`. None creates it. Already at `new`: nothing to do.

        Without force, `new` must contain `old` (`not_fast_forward`). A branch that is elsewhere is refused
        (`head_moved`). force is for the platform's own pointers (the branch `staging`), never for the default branch.
        """

    def ensure_tag(self, repository: Repository, tag: str, *, at: str) -> None:
        """The tag exists and names `at`; one that names something else is refused (`tag_moved`)."""

    def ensure_protection(self, repository: Repository, *, allows_direct_push: bool = False) -> None:
        """Only the platform writes the branches `staging` and `release/*` and the tags `released/*`.

        On a server of its own, nor does anybody else push to the default branch, unless allows_direct_push: then its
        owners do, never by force. The local forge decides that at each push.
        """

    def is_own_login(self, login: str) -> bool:
        """Whether this is a name by which the platform itself, or a run's credential, is known at the forge."""

    def ensure_pull_request(
        self, repository: Repository, *, head: str, base: str, title: str, body: str
    ) -> PullRequest:
        """There is an open pull request from branch head to branch base; at most one ever. Title and body follow."""

    def read_pull_request(self, repository: Repository, number: int) -> PullRequest | None:
        """As it is now, None if there is none with this number."""

    def close_pull_request(self, repository: Repository, number: int, *, merged_commit: str | None = None) -> None:
        """It is closed; as merged, by `merged_commit`, if that is given."""

    def ensure_comment(self, repository: Repository, number: int, *, key: str, body: str) -> None:
        """The pull request carries this comment of the platform's once; `key` tells it from others."""

    def read_comments(self, repository: Repository, number: int) -> list[PullComment]:
        """People's comments on it, oldest first (none on the local forge, which has no other place to write one)."""

    def ensure_status(
        self, repository: Repository, *, commit: str, context: str, state: str, description: str, target_url: str | None
    ) -> None:
        """The commit shows this check. state: pending, success, failure, error."""

    def ensure_credential(self, repository: Repository, *, branch: str, run_id: str) -> Credential:
        """A credential that reads the repository and pushes this branch only. Repeating may change the password."""

    def delete_credential(self, repository: Repository, *, run_id: str) -> bool:
        """The run's credential is good for nothing any more. Returns whether nothing of it is left: if not, the server
        may still be busy with what was pushed with it, and the call is to be made again some seconds later.
        """

    def ensure_webhook(self, repository: Repository) -> None:
        """The forge rings us when something changes (nothing to do on the local one, where pushes pass through us)."""

    def read_source(self, repository: Repository) -> Source:
        """Where the runtime clones from."""

    def read_clone_url(self, repository: Repository) -> str:
        """The http(s) address an agent clones from and pushes to, with a credential of its own. Holds no secret."""
