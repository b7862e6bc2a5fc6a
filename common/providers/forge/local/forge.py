"""The local forge: bare repositories in a directory, changed with git's plumbing commands.

All its state is on disk, in `<root>/<owner>/<name>.git` and in the directory `aiworker` of each repository, so any
number of processes may use it at once: refs move by compare-and-swap, and record files are replaced as a whole. It
serves nothing over HTTP (`web.git.smart_http` does), runs no hook of a repository, and never checks out files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import ProviderRefused, ProviderUnavailable
from common.machine.git.leftover_locks import forget_abandoned
from common.providers.forge import (
    git,
    history,
    notes,
)
from common.providers.forge.commit_reading import CommitReading
from common.providers.forge.forge_protocol import (
    Importable,
    MergeConflict,
    Merged,
    RepositoryState,
)
from common.providers.forge.local import credentials, pull_requests, repositories
from common.values.delivery.commit_status import CommitStatus
from common.values.delivery.pull_request import PullComment, PullPicture, PullRequest, PullState
from common.values.names import OWNER_PATTERN, RECEIPTS_REF, SHA_PATTERN
from common.values.repository import Credential, Repository, Source

_OLDEST_GIT = (2, 38)


@dataclass(frozen=True)
class _LocalRepository:
    path: Path

    def commit(self, sha: str) -> str:
        return history.commit_at(self.path, sha)


class BareForge(CommitReading):
    """The Forge protocol on this machine's disk. See the protocol for what its methods guarantee.

    public_url: the base of links for people. internal_url: the base of links for agents on this machine.
    import_allow: see `import_address`.
    """

    def __init__(self, root: Path, *, public_url: str, internal_url: str, import_allow: tuple[str, ...]) -> None:
        self._root = root
        self._public_url = public_url.rstrip("/")
        self._internal_url = internal_url.rstrip("/")
        self._import_allow = import_allow

    def ping(self) -> None:
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ProviderUnavailable(f"{self._root} can't be created: {error.strerror}") from error
        if not os.access(self._root, os.R_OK | os.W_OK | os.X_OK):
            raise ProviderUnavailable(f"{self._root} is not writable")
        version = git.run(None, "version").line
        found = re.search(r"(\d+)\.(\d+)", version)
        if found is None or (int(found[1]), int(found[2])) < _OLDEST_GIT:
            raise ProviderUnavailable(f"{version} is too old; install git 2.38 or newer")

    # Repositories

    def ensure_repository(
        self,
        repository: Repository,
        *,
        default_branch: str,
        description: str,
        import_url: str | None,
        files: Mapping[str, str] | None = None,
    ) -> RepositoryState:
        git.branch_ref(default_branch)
        path = self._path_of(repository)
        # The repository usually exists already; then the lock is not needed.
        if not path.is_dir() or history.read_ref(path, repositories.head_ref(path)) is None:
            with repositories.repository_lock(path):
                if not path.is_dir():
                    repositories.create(
                        path,
                        repository,
                        default_branch=default_branch,
                        description=description,
                        import_url=import_url,
                        allow=self._import_allow,
                        files=files,
                    )
                repositories.complete(
                    self._open(repository), title=repository.name, description=description, files=files
                )
        path = self._open(repository)
        repositories.configure(path)
        default = repositories.head_ref(path).removeprefix("refs/heads/")
        head = self.read_head(repository, default)
        if head is None:
            raise ProviderUnavailable(f"the branch {default} of {repository.name} was deleted in the meantime")
        return RepositoryState(url=self._page(repository), default_branch=default, default_head=head)

    def read_importable(self, q: str, *, page: int) -> Importable | None:
        return None

    def delete_repository(self, repository: Repository) -> None:
        path = self._path_of(repository)
        if not path.parent.is_dir():
            return
        with repositories.repository_lock(path):
            if path.is_dir():
                repositories.remove(self._open(repository))
            else:
                repositories.forget_lock(path)

    def repository_path(self, repository: Repository) -> Path:
        """Return the repository's directory. Raises ProviderRefused (`no_repository`, `foreign`)."""
        return self._open(repository)

    def push_check(self, *, max_file_bytes: int) -> tuple[tuple[str, str], dict[str, str]]:
        """See repositories.push_check."""
        return repositories.push_check(self._root, max_file_bytes=max_file_bytes)

    def read_source(self, repository: Repository) -> Source:
        return Source(clone_url=str(self._open(repository)))

    def read_clone_url(self, repository: Repository) -> str:
        self._path_of(repository)
        return f"{self._internal_url}/git/{repository.owner}/{repository.name}.git"

    def read_default_branch(self, repository: Repository) -> str:
        """Return the branch that the repository's HEAD points at, without `refs/heads/`."""
        return repositories.head_ref(self._open(repository)).removeprefix("refs/heads/")

    def is_untouched(self, repository: Repository) -> bool:
        """Whether the default branch still holds only the one commit that the platform creates."""
        path = self._open(repository)
        head = history.read_ref(path, repositories.head_ref(path))
        return head is not None and not history.parents(path, head)

    # Branches and commits

    def ensure_branch(self, repository: Repository, branch: str, *, at: str) -> str:
        path, ref = self._open(repository), git.branch_ref(branch)
        # Usually it is new. git itself looks whether the commit is there and the branch is not.
        if SHA_PATTERN.fullmatch(at) and not (path / ref).exists() and history.create(path, ref, at=at):
            return at
        head = history.read_ref(path, ref)
        if head is None:
            commit = history.commit_at(path, at)
            head = commit if history.move(path, ref, new=commit, old=None) else history.read_ref(path, ref)
        if head is None:
            raise ProviderUnavailable(f"the branch {branch} was deleted while it was being created")
        return head

    def read_head(self, repository: Repository, branch: str) -> str | None:
        return history.read_ref(self._open(repository), git.branch_ref(branch))

    # Merging and moving

    def merge(
        self, repository: Repository, *, into: str, commit: str, expected_head: str, message: str
    ) -> Merged | MergeConflict:
        path, ref = self._open(repository), git.branch_ref(into)
        commit = history.commit_at(path, commit)
        head = history.required_head(path, ref)
        made = history.merge(path, branch=into, head=head, commit=commit, expected_head=expected_head, message=message)
        if not isinstance(made, str):
            return made
        if not history.move(path, ref, new=made, old=head):
            raise history.head_moved(into, history.read_ref(path, ref), expected_head)
        return Merged(made)

    def advance(self, repository: Repository, branch: str, *, old: str | None, new: str, force: bool = False) -> None:
        path, ref = self._open(repository), git.branch_ref(branch)
        new = history.commit_at(path, new)
        head = history.read_ref(path, ref)
        if head == new:
            return
        if force and ref == repositories.head_ref(path):
            raise ProviderRefused(f"the default branch {branch} can't be moved by force", code="not_fast_forward")
        if head != old:
            raise history.head_moved(branch, head, old)
        if head is not None and not force and not history.contains(path, ancestor=head, head=new):
            raise ProviderRefused(f"{new} does not contain {head}, the head of {branch}", code="not_fast_forward")
        if not history.move(path, ref, new=new, old=head):
            found = history.read_ref(path, ref)
            if found != new:
                raise history.head_moved(branch, found, old)

    def ensure_tag(self, repository: Repository, tag: str, *, at: str) -> None:
        path, ref = self._open(repository), git.tag_ref(tag)
        commit = history.commit_at(path, at)
        found = history.read_ref(path, ref)
        if found is None and not history.move(path, ref, new=commit, old=None):
            found = history.read_ref(path, ref)
        if found not in {None, commit}:
            raise ProviderRefused(f"the tag {tag} points at {found}, not at {commit}", code="tag_moved")

    def ensure_note(self, repository: Repository, *, commit: str, text: str) -> None:
        path = self._open(repository)
        head = history.read_ref(path, RECEIPTS_REF)
        new = notes.with_note(path, head=head, commit=history.commit_at(path, commit), text=text)
        if new != head and not history.move(path, RECEIPTS_REF, new=new, old=head):
            raise notes.concurrent_write()

    def ensure_protection(
        self, repository: Repository, *, default_branch: str | None = None, allows_direct_push: bool = False
    ) -> None:
        # The configuration hides the platform's refs from every push; the platform moves them with update-ref.
        repositories.configure(self._open(repository))

    def is_own_login(self, login: str) -> bool:
        return credentials.is_of_run(login)

    # Pull requests

    def ensure_pull_request(
        self, repository: Repository, *, head: str, base: str, title: str, body: str
    ) -> PullRequest:
        path = self._open(repository)
        history.required_head(path, git.branch_ref(base))
        head_sha = history.required_head(path, git.branch_ref(head))
        return pull_requests.ensure(
            _pulls(path), self._page(repository), head=head, base=base, head_sha=head_sha, title=title, body=body
        )

    def read_pull_request(self, repository: Repository, number: int) -> PullRequest | None:
        path = self._open(repository)
        pull = pull_requests.read(_pulls(path), self._page(repository), number)
        if pull is None or pull.state is not PullState.OPEN:
            return pull
        live = history.read_ref(path, git.branch_ref(pull.head))
        return pull if live is None else PullRequest(**{**vars(pull), "head_sha": live})

    def find_pull_request(self, repository: Repository, *, head: str, base: str) -> PullRequest | None:
        number = pull_requests.find_open(_pulls(self._open(repository)), head=head, base=base)
        return None if number is None else self.read_pull_request(repository, number)

    def close_pull_request(
        self, repository: Repository, number: int, *, head: str, merged_commit: str | None = None
    ) -> None:
        path = self._open(repository)
        merged = None if merged_commit is None else history.commit_at(path, merged_commit)
        head_sha = history.read_ref(path, git.branch_ref(head))
        pull_requests.close(_pulls(path), number, head=head, head_sha=head_sha, merged_commit=merged)

    def reopen_pull_request(self, repository: Repository, number: int, *, head: str) -> None:
        """Do nothing: here only the platform closes pull requests."""
        self._open(repository)

    def ensure_comment(self, repository: Repository, number: int, *, key: str, body: str) -> None:
        pull_requests.ensure_comment(_pulls(self._open(repository)), number, key=key, body=body)

    def ensure_pictures(
        self, repository: Repository, number: int, *, head: str, version: str, body: str,
        pictures: Sequence[PullPicture],
    ) -> None:  # fmt: skip
        if self.read_pull_request(repository, number) is None:
            raise ProviderRefused(f"there is no pull request {number}", code="no_pull_request")

    def read_comments(self, repository: Repository, number: int) -> list[PullComment]:
        self._open(repository)
        return []

    def ensure_status(
        self, repository: Repository, *, commit: str, context: str, state: str, description: str, target_url: str | None
    ) -> None:
        path = self._open(repository)
        status = pull_requests.Status(context=context, state=state, description=description, target_url=target_url)
        pull_requests.ensure_status(_statuses(path, history.commit_at(path, commit)), status)

    def read_ci_statuses(self, repository: Repository, *, commit: str) -> tuple[CommitStatus, ...]:
        """There are none: nobody but the platform can set a status here."""
        history.commit_at(self._open(repository), commit)
        return ()

    # Credentials

    def ensure_credential(
        self, repository: Repository, *, branch: str, run_id: str, may_push: bool = True
    ) -> Credential:
        # AiWorker itself serves the repository: it looks at each push whether the run may make one.
        path = self._open(repository)
        git.branch_ref(branch)
        return credentials.ensure(_credentials(path), branch=branch, run_id=run_id)

    def delete_credential(self, repository: Repository, *, run_id: str) -> bool:
        path = self._open(repository)
        credentials.delete(_credentials(path), run_id=run_id)
        forget_abandoned(path)
        return True

    def check_credential(self, repository: Repository, username: str, password: str) -> str | None:
        """Return the branch (without `refs/heads/`) that this credential may push; None if it is not valid here."""
        return credentials.check(_credentials(self._open(repository)), username, password)

    def ensure_webhook(self, repository: Repository) -> None:
        self._open(repository)

    # Paths

    def _page(self, repository: Repository) -> str:
        return f"{self._public_url}/git/{repository.owner}/{repository.name}"

    def _path_of(self, repository: Repository) -> Path:
        for part in (repository.owner, repository.name):
            if not OWNER_PATTERN.fullmatch(part):
                raise ProviderRefused(f"{part!r} can't be part of a repository's name", code="bad_name")
        return self._root / repository.owner / f"{repository.name}.git"

    def _bare(self, repository: Repository) -> _LocalRepository:
        return _LocalRepository(self._open(repository))

    def _open(self, repository: Repository) -> Path:
        """Return the repository's path. Raises ProviderRefused (`foreign`) if it belongs to another project."""
        path = self._path_of(repository)
        try:
            marker = (path / "aiworker" / "project_id").read_text(encoding="utf-8")
        except FileNotFoundError as error:
            if path.is_dir():
                raise _foreign(repository) from error
            name = f"{repository.owner}/{repository.name}"
            raise ProviderRefused(f"there is no repository {name}", code="no_repository") from error
        if marker != repository.project_id:
            raise _foreign(repository)
        return path


def _pulls(path: Path) -> Path:
    return path / "aiworker" / "pulls.json"


def _credentials(path: Path) -> Path:
    return path / "aiworker" / "credentials.json"


def _statuses(path: Path, commit: str) -> Path:
    return path / "aiworker" / "statuses" / f"{commit}.json"


def _foreign(repository: Repository) -> ProviderRefused:
    name = f"{repository.owner}/{repository.name}"
    return ProviderRefused(f"the repository {name} belongs to another project", code="foreign")
