"""Somebody on a real Gitea, who is not the platform."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from common.providers.forge.gitea.client import Client
from tests.providers.git_work_tree import WorkTree


@dataclass
class Person:
    """May write to the repository. path: the repository's, in the API."""

    url: str
    login: str
    password: str
    path: str

    def remove(self, client: Client) -> None:
        client.call("DELETE", f"/admin/users/{self.login}", accept=(404,))

    def clone(self, folder: Path) -> WorkTree:
        scheme, _, host = self.url.partition("://")
        name, password = quote(self.login), quote(self.password)
        return WorkTree(folder, f"{scheme}://{name}:{password}@{host}{self.path.removeprefix('/repos')}.git")


def new_person(client: Client, path: str) -> Person:
    """path: of the repository, in the API. `remove` is to be called at the end."""
    login, password = f"aiw-test-{secrets.token_hex(4)}", f"{secrets.token_hex(16)}-aA1"
    wanted = {"username": login, "email": f"{login}@aiworker.invalid", "password": password,
              "must_change_password": False, "send_notify": False}  # fmt: skip
    client.call("POST", "/admin/users", body=wanted)
    client.call("PUT", f"{path}/collaborators/{login}", body={"permission": "write"})
    if not client.get("/user", login=(login, password), accept=(401, 403)).is_there:
        # Programs may not say a password there: people have tokens.
        platform = (client.get("/user").body["login"], client.token)
        token = {"name": "tests", "scopes": ["all"]}
        password = client.call("POST", f"/users/{login}/tokens", body=token, login=platform).body["sha1"]
    return Person(client.url, login, password, path)
