"""The protocol of a forge: the service that hosts repositories, branches and pull requests.

Verbs are `ensure_`, `read_` and `delete_`. Ensuring what exists and deleting what is absent succeed, so every call
can be repeated after a lost answer. The caller computes all names; none is fetched. Commits are full 40-digit SHAs.
Every method raises ProviderUnavailable if the same call may succeed later, and ProviderRefused if it will not. Codes
that every method may raise: `no_repository`, `no_commit`, `no_branch` for a repository, commit or branch that does
not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from common.values.delivery.commit_status import CommitStatus
from common.values.delivery.pull_request import PullComment, PullPicture, PullRequest
from common.values.repository import Credential, Repository, Source


@dataclass(frozen=True)
class RepositoryState:
    """default_head: the SHA of the default branch's head. Never empty: an empty repository gets a first commit."""

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
    """What head changed since its merge base with base (a three-dot diff). is_truncated: the unified patch was cut."""

    base_sha: str
    head_sha: str
    files: tuple[FileDiff, ...]
    patch: str
    is_truncated: bool = False


@dataclass(frozen=True)
class Commit:
    """author: the name that the commit gives, with no promise that it is true. at: aware UTC, when it was committed;
    1970 if git can't read that.
    """

    sha: str
    subject: str
    author: str
    at: datetime


@dataclass(frozen=True)
class Commits:
    """commits: the newest ones, newest first, without merges. total: how many there are."""

    commits: tuple[Commit, ...]
    total: int


@dataclass(frozen=True)
class Entry:
    """A leaf of a commit's tree. mode: git's six digits. object_id: of the blob, or of a submodule's commit.

    Bytes of a path that are not UTF-8 are kept as lone surrogates (Python's surrogateescape).
    """

    path: str
    mode: str
    object_id: str

    @property
    def is_file(self) -> bool:
        return self.mode.startswith("100")

    @property
    def leads_elsewhere(self) -> bool:
        """Whether it is a symbolic link or a submodule: files below its path in a checkout are not in this tree."""
        return self.mode in {"120000", "160000"}


@dataclass(frozen=True)
class Change:
    """An entry that differs between two commits. before None: it was added; after None: it was deleted."""

    before: Entry | None
    after: Entry | None


@dataclass(frozen=True)
class Listing:
    """The files of a commit's tree with their paths, in git's order. is_truncated: there are more."""

    entries: tuple[Entry, ...]
    is_truncated: bool


@dataclass(frozen=True)
class Blob:
    """A file's content. is_cut: the file is too large, and `content` holds only its first 8,000 bytes."""

    object_id: str
    content: bytes
    is_cut: bool = False


@dataclass(frozen=True)
class ImportableRepository:
    """A repository of the forge that can be imported. name: `owner/name`. url: what to import from."""

    name: str
    description: str
    url: str
    default_branch: str
    is_private: bool


@dataclass(frozen=True)
class Importable:
    """A page of offers, those first that changed last. next_page: None if this is surely the last."""

    offers: tuple[ImportableRepository, ...]
    next_page: int | None


@dataclass(frozen=True)
class Merged:
    """commit is the new head of the target branch, or its old head if that contained the commit already."""

    commit: str


@dataclass(frozen=True)
class MergeConflict:
    """The commits can't be merged. files: the conflicting paths, sorted. The target branch was not moved."""

    files: tuple[str, ...]


class Forge(Protocol):
    """One forge. The module's docstring says what holds for every method."""

    def __hash__(self) -> int:
        """Answers that never change are kept by the forge that gave them."""

    def ping(self) -> None:
        """Return if the forge is usable; raise ProviderUnavailable with the reason if not."""

    def ensure_repository(
        self,
        repository: Repository,
        *,
        default_branch: str,
        description: str,
        import_url: str | None,
        files: Mapping[str, str] | None = None,
    ) -> RepositoryState:
        """Create the project's repository, if needed, with a default branch that has at least one commit.

        import_url None: start with one commit that adds `files` (name in the root → text; None: a README.md). Otherwise
        import all branches and tags from that http(s) address; the default branch is `default_branch` if the source has
        it, else the branch of the source's HEAD. Branches named `staging` or `release`, tags named `released`, and what
        is below these become `imported/<name>`: the platform moves its own by force. An incomplete repository is
        completed. Refused: a repository that is marked as another project's (`foreign`), an address that can't be
        cloned, or whose only default branch has such a name (`import_failed`).
        An address of the forge's own server is read with the platform's account: callers let administrators alone
        choose one.
        """

    def read_importable(self, q: str, *, page: int) -> Importable | None:
        """Return repositories that are no project's and whose names have `q` (in either case; empty: all of them).

        page: from 1. None: all repositories of this forge are projects'.
        """

    def delete_repository(self, repository: Repository) -> None:
        """Delete the repository, its pull requests and credentials. Another project's is refused (`foreign`)."""

    def ensure_branch(self, repository: Repository, branch: str, *, at: str) -> str:
        """Create the branch at the commit `at` unless it exists. Returns the branch's head."""

    def read_head(self, repository: Repository, branch: str) -> str | None:
        """Return the SHA that the branch points at; None if there is no such branch."""

    def read_default_branch(self, repository: Repository) -> str:
        """Return the branch that the forge shows first. People may change it on a separate server: a project goes by
        its own default branch.
        """

    def contains(self, repository: Repository, *, ancestor: str, head: str) -> bool:
        """Whether ancestor is head or one of its ancestors."""

    def diff(self, repository: Repository, *, base: str, head: str, max_bytes: int = 2_000_000) -> Diff:
        """Return what `head` changed since its merge base with `base`, for display; use read_changes for decisions.

        With several merge bases, since all of them merged.
        """

    def read_commits(self, repository: Repository, *, base: str, head: str, limit: int = 200) -> Commits:
        """Return the commits that `head` contains and `base` does not (both are SHAs), merges left out.

        At most `limit` of them; `total` counts all.
        """

    def read_changes(self, repository: Repository, *, base: str, head: str) -> tuple[Change, ...]:
        """Return every tree entry that differs between `head` and its merge base with `base`; both are SHAs.

        A renamed file is one change; two, if so much was renamed that similar files can't be found in time.
        Refused: `unrelated` if they have no history in common, `several_bases` if they have more than one merge base,
        `diff_too_large` if the list is too long.
        """

    def read_merge_base(self, repository: Repository, *, base: str, head: str) -> str:
        """Return the SHA of the commit at which `head` left `base`; both are SHAs.

        Refused: `unrelated` and `several_bases`, as above.
        """

    def read_dropped_changes(self, repository: Repository, *, base: str, head: str) -> tuple[str, ...]:
        """Return the paths, sorted, in which a merge between `base` and `head` dropped what `base` had changed, though
        the other side had not touched them, and which `head` still has as before. Both are SHAs.

        Refused: `diff_too_large` if there are too many merges or changes.
        """

    def read_changes_undone_by_merge(
        self, repository: Repository, *, base: str, onto: str, head: str
    ) -> tuple[str, ...]:
        """Return the paths, sorted, in which merging `head` into `onto` takes back work, though neither of them has
        these changed since `base`: a comparison with `base` does not show it.

        `onto` contains `base`. One of `head` and `onto` has commits of the other, and the paths as they were before.
        All three are SHAs. Refused: as read_changes, but for `several_bases`.
        """

    def read_blobs(self, repository: Repository, ids: Sequence[str]) -> Iterator[Blob]:
        """Yield each of these blobs once, in any order.

        Refused: `diff_too_large` if they exceed 128 MiB together, `no_blob` if one is missing.
        """

    def list_files(self, repository: Repository, *, commit: str, max_bytes: int = 8 * 2**20) -> Listing:
        """List the files of the commit (a SHA), as many as max_bytes have room for. A file takes 54 bytes and its path:
        8 MiB are at least the first 50,000 if their names are of usual length.
        """

    def read_file(self, repository: Repository, *, commit: str, path: str, max_bytes: int = 100_000) -> bytes | None:
        """Return a file's content at a commit; None if there is no such file. Refused above max_bytes (`too_large`)."""

    def try_merge(self, repository: Repository, *, base: str, commit: str) -> MergeConflict | None:
        """Return the conflict of merging commit into base (both SHAs); None if it merges cleanly. Moves nothing."""

    def merge(
        self, repository: Repository, *, into: str, commit: str, expected_head: str, message: str
    ) -> Merged | MergeConflict:
        """Merge `commit` (a SHA) into the branch `into`, whose head must be `expected_head`.

        Always creates a merge commit, unless the head contains the commit already. Refused if the head has moved
        (`head_moved`); nothing is changed then. After a lost answer, use read_head: the merge happened if the new
        head has expected_head as its first parent.
        """

    def advance(self, repository: Repository, branch: str, *, old: str | None, new: str, force: bool = False) -> None:
        """Move the branch from `old` to `new` by compare-and-swap; old None creates it. No-op if it is at `new`.

        Without force, `new` must contain `old` (else `not_fast_forward`). Refused if the branch is not at `old`
        (`head_moved`). force is for branches that only the platform moves (`staging`), never for the default branch.
        """

    def ensure_tag(self, repository: Repository, tag: str, *, at: str) -> None:
        """Create the tag at the commit `at` unless it exists. Refused if it points elsewhere (`tag_moved`)."""

    def read_tree(self, repository: Repository, commit: str) -> str:
        """Return the SHA of the commit's tree, which names the content of every file."""

    def ensure_note(self, repository: Repository, *, commit: str, text: str) -> None:
        """Make `text` the commit's git note in RECEIPTS_REF (common/values/names.py), instead of another text.

        text: ends with a line end. Notes of other commits stay. On the local forge nobody else can write them.
        """

    def ensure_protection(
        self, repository: Repository, *, default_branch: str | None = None, allows_direct_push: bool = False
    ) -> None:
        """Let only the platform write the branches `staging` and `release/*` and the tags `released/*`.

        On a separate server the default branch (None: what the server takes for it, which people may change) is
        protected too; with allows_direct_push its owners may push to it, never by force. The local forge checks pushes
        to the default branch itself, at each push.
        """

    def is_own_login(self, login: str) -> bool:
        """Whether this is the forge account of the platform or of a run's credential."""

    def ensure_pull_request(
        self, repository: Repository, *, head: str, base: str, title: str, body: str
    ) -> PullRequest:
        """Open or update the one pull request from branch head to branch base, with this title and body.

        One that was merged is returned unchanged. If a person merged it at the forge, later commits get another one.
        """

    def read_pull_request(self, repository: Repository, number: int) -> PullRequest | None:
        """Return the pull request's present state; None if there is none with this number."""

    def find_pull_request(self, repository: Repository, *, head: str, base: str) -> PullRequest | None:
        """Return the open pull request from branch head to branch base, which may be gone; None if there is none."""

    def close_pull_request(
        self, repository: Repository, number: int, *, head: str, merged_commit: str | None = None
    ) -> None:
        """Close the pull request of the branch head, as merged if `merged_commit` is given.

        No-op if the number is another branch's: a server that was restored from a backup gives numbers again.
        """

    def reopen_pull_request(self, repository: Repository, number: int, *, head: str) -> None:
        """Open the pull request of the branch head again if a run's credential closed it.

        No-op unless the forge tells so: what a person, or nobody knows who, closed stays closed.
        """

    def ensure_comment(self, repository: Repository, number: int, *, key: str, body: str) -> None:
        """Create or update the platform's comment on the pull request that is identified by `key`."""

    def ensure_pictures(
        self,
        repository: Repository,
        number: int,
        *,
        head: str,
        version: str,
        body: str,
        pictures: Sequence[PullPicture],
    ) -> None:
        """Show these pictures below `body` in one comment of the platform's on the pull request of the branch head, and
        no older ones. No-op if the number is another branch's, as in close_pull_request.

        version: names this set of pictures, such as a commit; one that is shown already is left as it is. Without
        pictures the comment is removed. No-op on the local forge, whose pull requests AiWorker's own page shows, and on
        servers that take no files with comments (Gitea before 1.18).
        """

    def read_comments(self, repository: Repository, number: int) -> list[PullComment]:
        """Return people's comments on the pull request, oldest first. The local forge has none."""

    def ensure_status(
        self, repository: Repository, *, commit: str, context: str, state: str, description: str, target_url: str | None
    ) -> None:
        """Set the commit's status for `context`. state: pending, success, failure, error."""

    def read_ci_statuses(self, repository: Repository, *, commit: str) -> tuple[CommitStatus, ...]:
        """Return the newest status of each context that the repository's own CI set on exactly this commit (a SHA).

        What the platform or a run's credential set is left out. The local forge has none. Refused: `too_large` if the
        commit has more statuses than are read.
        """

    def ensure_credential(
        self, repository: Repository, *, branch: str, run_id: str, may_push: bool = True
    ) -> Credential:
        """Return a credential that reads the repository and pushes only this branch, or nothing. Each call may change
        the password."""

    def delete_credential(self, repository: Repository, *, run_id: str) -> bool:
        """Revoke the run's credential. Returns whether it is removed completely: if not, the server may still be
        processing a push that was made with it, and the caller repeats the call some seconds later.
        """

    def ensure_webhook(self, repository: Repository) -> None:
        """Register the webhook by which the forge reports changes. No-op on the local forge, whose pushes AiWorker
        itself receives."""

    def read_source(self, repository: Repository) -> Source:
        """Return the address and credential with which the runtime clones."""

    def read_clone_url(self, repository: Repository) -> str:
        """Return the http(s) address for an agent's clone and push, without a credential. The agent has its own."""
