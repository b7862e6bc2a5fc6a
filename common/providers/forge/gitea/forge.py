"""The Forge protocol on a Gitea or Forgejo server: git over HTTP for the code, the server's API for everything else.

Every method first finds the repository and checks its mark, so none ever changes a repository of somebody else. Only
the server's features and the token's account are kept between calls; the mirrors on disk are a cache.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.forge import git
from common.providers.forge.commit_reading import CommitReading
from common.providers.forge.forge_protocol import (
    Importable,
    MergeConflict,
    Merged,
    RepositoryState,
)
from common.providers.forge.gitea import importing, repository_setup, run_users, statuses, webhooks
from common.providers.forge.gitea.client import TIMEOUT, Client
from common.providers.forge.gitea.code import Code
from common.providers.forge.gitea.features import Features, read_features, read_version
from common.providers.forge.gitea.mirror import Mirror
from common.providers.forge.gitea.protection import Protection
from common.providers.forge.gitea.pull_requests import Pulls
from common.providers.forge.gitea.repository_setup import Account, Found
from common.providers.forge.local.pull_requests import STATUS_STATES
from common.values.delivery.commit_status import CommitStatus
from common.values.delivery.pull_request import PullComment, PullPicture, PullRequest
from common.values.names import is_platform_branch
from common.values.repository import Credential, Repository, Source

_CACHE_SECONDS = 600.0
_log = structlog.get_logger()


@dataclass(frozen=True)
class _Server:
    """ruled: numbers of the repositories whose rules were looked at since the features were read."""

    features: Features
    account: Account
    read_at: float
    ruled: set[int] = field(default_factory=set)


class GiteaForge(CommitReading):
    """The Forge protocol on one server. See the protocol for what its methods guarantee.

    mirrors: the directory of the cache. webhook_url, webhook_secret: for the webhooks that the server sends us.
    import_allow: see `import_address`. timeout: seconds to connect, and between two chunks of a response.
    `close` closes the connections.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        mirrors: Path,
        webhook_url: str,
        webhook_secret: str,
        import_allow: tuple[str, ...],
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self._client = Client(url, token, timeout=timeout)
        self._token = token
        self._mirrors = mirrors
        self._webhook_url = webhook_url
        self._webhook_secret = webhook_secret
        self._import_allow = import_allow
        self._kept: _Server | None = None

    def close(self) -> None:
        self._client.close()

    def ping(self) -> None:
        name = read_version(self._client)
        if self._kept is None or self._kept.features.name != name:
            self._kept = None
            warning = self._server().features.warning
            if warning is not None:
                _log.warning("the forge is old", reason=warning)
        # What is kept of the account does not tell whether the token is still accepted.
        repository_setup.read_account(self._client)

    @property
    def features(self) -> Features:
        """The server's features, cached for ten minutes."""
        return self._server().features

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
        account = self._server().account
        found = repository_setup.find(self._client, repository, account)
        if found is None:
            repository_setup.create(self._client, repository, account, default_branch=default_branch)
            found = repository_setup.find(self._client, repository, account)
        if found is None:
            raise ProviderUnavailable(
                f"the server does not show the new repository {repository.owner}/{repository.name} to "
                f"{account.login}; if it requires a second factor of everybody (TWO_FACTOR_AUTH), enrol that user"
            )
        mirror = self._mirror(repository, found)
        if not found.is_complete:
            is_overlooked = found.is_empty and mirror.has_branches()
            default = repository_setup.fill(
                mirror,
                repository,
                default_branch=default_branch,
                description=description,
                import_url=import_url,
                allow=self._import_allow,
                files=files,
                login=importing.login_for(self._client, account, import_url or ""),
            )
            if is_overlooked:
                mirror.nudge(default)
            repository_setup.complete(self._client, repository, found, default_branch=default, description=description)
            found = self._open(repository)
        head = mirror.read_head(f"refs/heads/{found.default_branch}")
        if head is None:
            raise ProviderUnavailable(
                f"the branch {found.default_branch} of {repository.name} was deleted in the meantime"
            )
        return RepositoryState(url=found.page, default_branch=found.default_branch, default_head=head)

    def read_importable(self, q: str, *, page: int) -> Importable | None:
        return importing.list_importable(self._client, q, page)

    def delete_repository(self, repository: Repository) -> None:
        found = repository_setup.find(self._client, repository, self._server().account)
        if found is not None:
            run_users.delete_all(self._client, found)
            self._client.call("DELETE", found.path, accept=(404,))
        # Also if the repository is gone already: an earlier attempt may have been interrupted after that call.
        shutil.rmtree(self._mirrors_of(repository), ignore_errors=True)

    def read_source(self, repository: Repository) -> Source:
        self._open(repository)
        return Source(self._address(repository), self._server().account.login, self._token)

    def read_clone_url(self, repository: Repository) -> str:
        return self._address(repository)

    # The code

    def ensure_branch(self, repository: Repository, branch: str, *, at: str) -> str:
        return self._code(repository).ensure_branch(git.branch_ref(branch), at=at)

    def read_head(self, repository: Repository, branch: str) -> str | None:
        ref = git.branch_ref(branch)
        return self._bare(repository).read_head(ref)

    def read_default_branch(self, repository: Repository) -> str:
        return self._open(repository).default_branch

    def merge(
        self, repository: Repository, *, into: str, commit: str, expected_head: str, message: str
    ) -> Merged | MergeConflict:
        return self._code(repository).merge(
            git.branch_ref(into), commit=commit, expected_head=expected_head, message=message
        )

    def advance(self, repository: Repository, branch: str, *, old: str | None, new: str, force: bool = False) -> None:
        found, ref = self._open(repository), git.branch_ref(branch)
        self._code(repository, found).advance(
            ref, old=old, new=new, force=force, is_default=branch == found.default_branch
        )
        if is_platform_branch(branch) and not self.features.has_patterns:
            # An old server accepts a rule only for an existing branch, which this one is from now on.
            self._protection(found).ensure_platform_rules((branch,))

    def ensure_tag(self, repository: Repository, tag: str, *, at: str) -> None:
        self._code(repository).ensure_tag(git.tag_ref(tag), at=at)

    def ensure_note(self, repository: Repository, *, commit: str, text: str) -> None:
        self._code(repository).ensure_note(commit=commit, text=text)

    def ensure_protection(
        self, repository: Repository, *, default_branch: str | None = None, allows_direct_push: bool = False
    ) -> None:
        found = self._open(repository)
        self._protection(found).ensure_rules(
            self._mirror(repository, found).is_free, default=default_branch, owners_push=allows_direct_push
        )

    def is_own_login(self, login: str) -> bool:
        return login.lower() == self._server().account.login.lower() or login.startswith(run_users.PREFIX)

    # Pull requests

    def ensure_pull_request(
        self, repository: Repository, *, head: str, base: str, title: str, body: str
    ) -> PullRequest:
        found = self._open(repository)
        mirror = self._mirror(repository, found)
        mirror.required_head(git.branch_ref(base))
        newest = mirror.required_head(git.branch_ref(head))
        return self._pulls(found).ensure(
            head=head, base=base, title=title, body=body,
            # The server moves this ref with the branch, until the pull request is merged.
            is_at_head=lambda number: mirror.read_head(f"refs/pull/{number}/head") == newest,
        )  # fmt: skip

    def read_pull_request(self, repository: Repository, number: int) -> PullRequest | None:
        return self._pulls(self._open(repository)).read(number)

    def find_pull_request(self, repository: Repository, *, head: str, base: str) -> PullRequest | None:
        return self._pulls(self._open(repository)).find_open(head, base)

    def close_pull_request(
        self, repository: Repository, number: int, *, head: str, merged_commit: str | None = None
    ) -> None:
        self._pulls(self._open(repository)).close(number, head=head, merged_commit=merged_commit)

    def reopen_pull_request(self, repository: Repository, number: int, *, head: str) -> None:
        self._pulls(self._open(repository)).reopen(number, head=head)

    def ensure_comment(self, repository: Repository, number: int, *, key: str, body: str) -> None:
        self._pulls(self._open(repository)).ensure_comment(number, key=key, body=body)

    def ensure_pictures(
        self, repository: Repository, number: int, *, head: str, version: str, body: str,
        pictures: Sequence[PullPicture],
    ) -> None:  # fmt: skip
        pulls = self._pulls(self._open(repository))
        if self.features.has_comment_files:
            pulls.ensure_pictures(number, head=head, version=version, body=body, pictures=pictures)

    def read_comments(self, repository: Repository, number: int) -> list[PullComment]:
        return self._pulls(self._open(repository)).read_comments(number)

    def ensure_status(
        self, repository: Repository, *, commit: str, context: str, state: str, description: str, target_url: str | None
    ) -> None:
        found = self._open(repository)
        if state not in STATUS_STATES:
            raise ProviderRefused(f"{state!r} is not a valid status state", code="bad_status")
        statuses.ensure_status(
            self._client,
            found,
            commit=self._mirror(repository, found).commit(commit),
            context=context,
            state=state,
            description=description,
            target_url=target_url,
        )

    def read_ci_statuses(self, repository: Repository, *, commit: str) -> tuple[CommitStatus, ...]:
        found = self._open(repository)
        full = self._mirror(repository, found).commit(commit)
        server = self._server()
        return statuses.read_ci_statuses(
            self._client, found, server.account, commit=full, has_jobs=server.features.has_actions_jobs
        )

    # Credentials and the webhook

    def ensure_credential(
        self, repository: Repository, *, branch: str, run_id: str, may_push: bool = True
    ) -> Credential:
        found = self._open(repository)
        git.branch_ref(branch)
        server, protection = self._server(), self._protection(found)
        if found.number not in server.ruled:
            # The server may have been updated since the project was made, and take rules that it did not take then.
            if protection.lacks_rules():
                protection.ensure_rules(self._mirror(repository, found).is_free)
            server.ruled.add(found.number)
        return run_users.ensure(
            self._client, found, protection, server.features, server.account,
            branch=branch, run_id=run_id, may_push=may_push,
        )  # fmt: skip

    def delete_credential(self, repository: Repository, *, run_id: str) -> bool:
        try:
            found = repository_setup.find(self._client, repository, self._server().account)
        except ProviderRefused as error:
            if error.code == "foreign":
                # The user is the platform's all the same.
                run_users.delete_user(self._client, run_id=run_id)
            raise
        if found is None:
            # Without this, the run's user would outlive its repository.
            run_users.delete_user(self._client, run_id=run_id)
            raise repository_setup.absent(self._client, repository)
        return run_users.delete(self._client, found, self._protection(found), run_id=run_id)

    def ensure_webhook(self, repository: Repository) -> None:
        webhooks.ensure(self._client, self._open(repository), url=self._webhook_url, secret=self._webhook_secret)

    # The server and its repositories

    def _server(self) -> _Server:
        kept = self._kept
        if kept is None or time.monotonic() - kept.read_at > _CACHE_SECONDS:
            features = read_features(self._client, read_version(self._client))
            kept = self._kept = _Server(features, repository_setup.read_account(self._client), time.monotonic())
        return kept

    def _open(self, repository: Repository) -> Found:
        found = repository_setup.find(self._client, repository, self._server().account)
        if found is None:
            raise repository_setup.absent(self._client, repository)
        return found

    def _address(self, repository: Repository) -> str:
        return f"{self._client.url}/{repository.owner}/{repository.name}.git"

    def _bare(self, repository: Repository) -> Mirror:
        return self._mirror(repository, self._open(repository))

    def _mirror(self, repository: Repository, found: Found) -> Mirror:
        # The path contains the server's id: a repository recreated under the same name gets a mirror of its own.
        return Mirror(
            self._mirrors_of(repository) / f"{found.number}.git",
            self._address(repository),
            username=self._server().account.login,
            token=self._token,
            name=repository.name,
            is_archived=found.is_archived,
        )

    def _mirrors_of(self, repository: Repository) -> Path:
        host = urlsplit(self._client.url).netloc.replace(":", "-")
        return self._mirrors / host / repository.owner / repository.name

    def _code(self, repository: Repository, found: Found | None = None) -> Code:
        found = found or self._open(repository)
        return Code(self._mirror(repository, found), self._protection(found))

    def _protection(self, found: Found) -> Protection:
        server = self._server()
        return Protection(self._client, found, server.features, server.account)

    def _pulls(self, found: Found) -> Pulls:
        server = self._server()
        return Pulls(self._client, found, server.account, server.features)
