"""Repositories on Gitea: found, made, adopted, completed and removed.

Ours are known by a mark at the end of their description, which names the project and says while they are half-made: it
is there from the first moment, since the call that makes a repository carries it. Nothing without the right mark is
ever touched. What a new repository holds is built here and pushed there (docs/decisions/0007 says why).
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from common.errors import ProviderRefused, ProviderUnavailable
from common.names import OWNER_PATTERN
from common.providers.forge import repositories as building
from common.providers.forge.gitea.client import Client, at
from common.providers.forge.gitea.mirror import Mirror
from common.values.repository import Repository

_MARK = re.compile(r"\(AiWorker project ([^\s,()]+)(, being made)?\)$")
_LONGEST_DESCRIPTION = 180
MOVED = (301, 302, 307, 308)
"""How a server answers for a repository that got another name: it is not there any more."""


@dataclass(frozen=True)
class Account:
    """Whom the token belongs to."""

    login: str
    is_admin: bool


@dataclass(frozen=True)
class Found:
    """A repository of ours. number: the server's own id for it, never used twice. path: where the API has it."""

    number: int
    page: str
    path: str
    default_branch: str
    is_empty: bool
    is_complete: bool
    is_of_organisation: bool


def read_account(client: Client) -> Account:
    """ProviderRefused (`unauthorized`) if the token is good for nothing."""
    user = client.get("/user").body
    return Account(login=user["login"], is_admin=bool(user.get("is_admin")))


def find(client: Client, repository: Repository, account: Account) -> Found | None:
    """None where there is none. ProviderRefused (`foreign`) where it is not this project's."""
    for part in (repository.owner, repository.name):
        if not OWNER_PATTERN.fullmatch(part):
            raise ProviderRefused(f"{part!r} can't be part of a repository's name", code="bad_name")
    path = at("repos", repository.owner, repository.name)
    answer = client.get(path, accept=(404, *MOVED))
    if not answer.is_there:
        # Whose token is not good (any more) is told the same. Only who is known believes it.
        read_account(client)
        return None
    mark = _MARK.search(answer.body.get("description") or "")
    if mark is None or mark[1] != repository.project_id:
        name = f"{repository.owner}/{repository.name}"
        raise ProviderRefused(f"the repository {name} belongs to another project", code="foreign")
    return Found(
        number=answer.body["id"],
        page=answer.body["html_url"],
        path=path,
        default_branch=answer.body.get("default_branch") or "main",
        is_empty=bool(answer.body.get("empty")),
        is_complete=mark[2] is None and not answer.body.get("empty"),
        is_of_organisation=repository.owner.lower() != account.login.lower(),
    )


def create(client: Client, repository: Repository, account: Account, *, default_branch: str) -> None:
    """There is an empty repository of this name: marked as this project's and half-made, if it was made here."""
    place = "/user/repos"
    if repository.owner.lower() != account.login.lower():
        _ensure_organisation(client, repository.owner)
        place = at("orgs", repository.owner, "repos")
    wanted = {
        "name": repository.name,
        "description": f"(AiWorker project {repository.project_id}, being made)",
        "default_branch": default_branch,
        "private": True,
        "auto_init": False,
    }
    # 409: it is there by now, perhaps from an attempt whose answer was lost; `find` tells whose it is.
    client.call("POST", place, body=wanted, accept=(409,))


def _ensure_organisation(client: Client, owner: str) -> None:
    if client.get(at("orgs", owner), accept=(404,)).is_there:
        return
    client.call("POST", "/orgs", body={"username": owner, "visibility": "private"}, accept=(422,))
    if not client.get(at("orgs", owner), accept=(404,)).is_there:
        raise ProviderRefused(
            f"the organisation {owner} can't be made; is that a user's name? Set AIWORKER_FORGE_OWNER to another",
            code="no_owner",
        )


def fill(
    mirror: Mirror,
    repository: Repository,
    *,
    default_branch: str,
    description: str,
    import_url: str | None,
    allow: tuple[str, ...],
) -> str:
    """The server's repository holds what it starts with: the whole import, or one commit. Returns its default branch.

    Safe to repeat while it is half-made. Errors as Forge.ensure_repository.
    """
    if import_url is None and mirror.read_head(f"refs/heads/{default_branch}") is not None:
        return default_branch
    mirror.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="making-", dir=mirror.path.parent) as folder:
        path = Path(folder) / f"{repository.name}.git"
        building.create(
            path, repository, default_branch=default_branch, description=description, import_url=import_url, allow=allow
        )
        mirror.publish(path)
        return building.head_ref(path).removeprefix("refs/heads/")


def complete(client: Client, repository: Repository, found: Found, *, default_branch: str, description: str) -> None:
    """It has this default branch, pull requests can be marked as merged, and, last of all, it is marked as whole."""
    wanted = {
        "default_branch": default_branch,
        "has_pull_requests": True,
        "allow_merge_commits": True,
        "allow_manual_merge": True,
    }
    answer = client.call("PATCH", found.path, body=wanted)
    if answer.body.get("default_branch") != default_branch or answer.body.get("empty"):
        # The server takes note of a push a moment after it.
        raise ProviderUnavailable(f"the server does not see the branch {default_branch} of {repository.name} yet")
    said = " ".join(description.split())[:_LONGEST_DESCRIPTION]
    whole = f"{said} (AiWorker project {repository.project_id})".strip()
    client.call("PATCH", found.path, body={"description": whole})
