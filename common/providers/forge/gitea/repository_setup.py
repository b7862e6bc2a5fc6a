"""Find, create and complete repositories on Gitea.

The platform recognises its repositories by a mark at the end of the description. The mark contains the project's id
and says whether the repository is complete; the call that creates the repository sets it. A repository without the
right mark is never changed. The content of a new repository is built on this machine and then pushed
(docs/decisions/0007 says why).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from common.errors import ProviderRefused, ProviderUnavailable
from common.machine.files import make_anew, remove_tree
from common.providers.forge.gitea.client import Client, Json, at
from common.providers.forge.gitea.mirror import Mirror
from common.providers.forge.local import repositories as building
from common.providers.forge.local.records import exclusive
from common.values.names import OWNER_PATTERN
from common.values.repository import Repository

_MARK = re.compile(r"\(AiWorker project ([^\s,()]+)(, being made)?\)$")
_LONGEST_DESCRIPTION = 180
MOVED = (301, 302, 307, 308)
"""Statuses for a repository that was renamed: it no longer exists under this name."""


@dataclass(frozen=True)
class Account:
    """The account that the platform's token belongs to."""

    login: str
    is_admin: bool


@dataclass(frozen=True)
class Found:
    """A repository of ours. number: the server's id, never reused. path: the API path. page: the web address."""

    number: int
    page: str
    path: str
    default_branch: str
    is_empty: bool
    is_complete: bool
    is_of_organisation: bool
    is_archived: bool


def read_account(client: Client) -> Account:
    """Return the token's account. Raises AccessDenied if the token is not valid."""
    answer = client.get("/user", accept=(404,))
    if not answer.is_there:
        # Gitea never answers so: a proxy that finds no server behind it does, while that is restarted.
        raise ProviderUnavailable("Gitea's GET /user was answered with 404: the server is away, or not at GITEA_URL")
    user = answer.body
    return Account(login=user["login"], is_admin=bool(user.get("is_admin")))


def find(client: Client, repository: Repository, account: Account) -> Found | None:
    """Find the repository; None if it does not exist. ProviderRefused (`foreign`) if it is not this project's."""
    for part in (repository.owner, repository.name):
        if not OWNER_PATTERN.fullmatch(part):
            raise ProviderRefused(f"{part!r} can't be part of a repository's name", code="bad_name")
    path = at("repos", repository.owner, repository.name)
    answer = client.get(path, accept=(404, *MOVED))
    if not answer.is_there:
        # An invalid token gets a 404 too. The answer counts only if the token is valid, which this call checks.
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
        is_archived=bool(answer.body.get("archived")),
    )


def absent(client: Client, repository: Repository) -> ProviderRefused:
    """The error for a repository that `find` does not find."""
    name = f"{repository.owner}/{repository.name}"
    says = f"there is no repository {name}"
    if client.get(at("repos", repository.owner, repository.name), accept=(404, *MOVED)).status in MOVED:
        says = f"the repository {name} was renamed or moved at the server: give it back its name and its owner there"
    return ProviderRefused(says, code="no_repository")


def is_of_project(row: Json) -> bool:
    """Whether a repository, as the server describes it, is marked as a project's of the platform."""
    return _MARK.search(row.get("description") or "") is not None


def create(client: Client, repository: Repository, account: Account, *, default_branch: str) -> None:
    """Create an empty repository, marked as this project's and incomplete. No-op if the name exists already."""
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
    # 409: it exists already, perhaps from an attempt whose answer was lost; `find` tells whose it is.
    client.call("POST", place, body=wanted, accept=(409,))


def _ensure_organisation(client: Client, owner: str) -> None:
    found = client.get(at("orgs", owner), accept=(404, *MOVED))
    if found.is_there:
        return
    if found.status in MOVED:
        # A new one of this name would stand in the way of the old one, which has the repositories.
        raise ProviderRefused(
            f"the organisation {owner} was renamed at the server: rename it back, or set AIWORKER_FORGE_OWNER",
            code="no_owner",
        )
    client.call("POST", "/orgs", body={"username": owner, "visibility": "private"}, accept=(422,))
    if not client.get(at("orgs", owner), accept=(404,)).is_there:
        raise ProviderRefused(
            f"the organisation {owner} can't be created; if that is a user's name, set AIWORKER_FORGE_OWNER to another",
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
    files: Mapping[str, str] | None,
    login: list[tuple[str, str]],
) -> str:
    """Push the first content: the whole import, or one commit that adds `files`. Returns the default branch.

    login: git's configuration for reading import_url; with one, the address is the server's and may be private.

    Safe to repeat while the repository is incomplete. Errors as Forge.ensure_repository.
    """
    if import_url is None and mirror.read_head(f"refs/heads/{default_branch}") is not None:
        return default_branch
    folder = mirror.path.parent / "making"
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with exclusive(folder.with_name(".making.lock")):
        # In place of what a killed process left.
        make_anew(folder)
        try:
            path = folder / f"{repository.name}.git"
            building.create(
                path, repository, default_branch=default_branch, description=description, import_url=import_url,
                allow=allow, files=files, login=login,
            )  # fmt: skip
            mirror.publish(path)
            return building.head_ref(path).removeprefix("refs/heads/")
        finally:
            remove_tree(folder)


def complete(client: Client, repository: Repository, found: Found, *, default_branch: str, description: str) -> None:
    """Set the default branch, allow marking pull requests as merged, and last mark the repository as complete."""
    wanted = {
        "default_branch": default_branch,
        "has_pull_requests": True,
        "allow_merge_commits": True,
        "allow_manual_merge": True,
    }
    answer = client.call("PATCH", found.path, body=wanted)
    if answer.body.get("default_branch") != default_branch or answer.body.get("empty"):
        # The server processes a push asynchronously.
        raise ProviderUnavailable(f"the server does not see the branch {default_branch} of {repository.name} yet")
    text = " ".join(description.split())[:_LONGEST_DESCRIPTION]
    marked = f"{text} (AiWorker project {repository.project_id})".strip()
    client.call("PATCH", found.path, body={"description": marked})
