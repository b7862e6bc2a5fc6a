"""What can be imported from the server itself: repositories that are no project's, read with the platform's account.

Repositories of projects are left out: a caller may not see each project, and this account sees every repository.
"""

from __future__ import annotations

import re

from common.errors import ProviderRefused
from common.machine.git.environment import basic_authorization
from common.providers.forge.forge_protocol import Importable, ImportableRepository
from common.providers.forge.gitea.client import Client, Json, at
from common.providers.forge.gitea.repository_setup import MOVED, Account, is_of_project

PAGE = 30
_PATH = re.compile(r"/(?P<owner>\w[\w.-]*)/(?P<name>\w[\w.-]*?)(?:\.git)?/?", re.ASCII)


def list_importable(client: Client, q: str, page: int) -> Importable:
    """The repositories of a page whose name has `q`; see Forge.read_importable."""
    found = _search(client, q, page)
    offers = tuple(_offer(client, row) for row in found if not row.get("empty") and not is_of_project(row))
    # The server's configuration may limit the page size: after a short one, only an empty page is surely the last.
    has_more = bool(found) and (len(found) == PAGE or bool(_search(client, q, page + 1)))
    return Importable(offers, page + 1 if has_more else None)


def _search(client: Client, q: str, page: int) -> list[Json]:
    query = {"q": q, "page": page, "limit": PAGE, "sort": "updated", "order": "desc"}
    found: list[Json] = client.get("/repos/search", query=query).body["data"] or []
    return found


def _offer(client: Client, row: Json) -> ImportableRepository:
    name = row["full_name"]
    return ImportableRepository(
        name=name,
        description=row.get("description") or "",
        url=f"{client.url}/{name}.git",
        default_branch=row.get("default_branch") or "main",
        is_private=bool(row.get("private") or row.get("internal")),
    )


def login_for(client: Client, account: Account, url: str) -> list[tuple[str, str]]:
    """Git's configuration with which the address may be read; empty if it is not of this server.

    Raises ProviderRefused (`import_failed`) for a repository of this server that does not exist or is a project's.
    """
    if not url.startswith(f"{client.url}/"):
        return []
    path = _PATH.fullmatch(url.removeprefix(client.url))
    row = None if path is None else client.get(at("repos", path["owner"], path["name"]), accept=(404, *MOVED))
    if row is None or not row.is_there or is_of_project(row.body):
        raise ProviderRefused(f"{url} can't be imported: the server has no such repository", code="import_failed")
    return [(f"http.{url}.extraHeader", basic_authorization(account.login, client.token))]
