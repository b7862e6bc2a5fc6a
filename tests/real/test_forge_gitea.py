"""The Gitea forge against a real server (GITEA_URL, GITEA_TOKEN of an administrator), in names of its own.

Everything is made in one organisation of a random name and removed again, with the users of its runs.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import ProviderRefused
from common.providers.forge import Forge
from common.providers.forge.gitea import GiteaForge
from common.providers.forge.gitea.client import Client
from common.values.repository import Repository
from tests.providers.forge_commits_contract import CommitsContract
from tests.providers.forge_contract import ForgeContract, twice
from tests.providers.forge_credentials_contract import CredentialsContract
from tests.providers.forge_pulls_contract import PullsContract
from tests.providers.git_work_tree import WorkTree
from tests.real.patience import Patient
from tests.real.people import new_person

URL, TOKEN = os.environ["GITEA_URL"], os.environ["GITEA_TOKEN"]


@pytest.fixture(scope="module")
def server() -> Iterator[Client]:
    client = Client(URL, TOKEN)
    patient: Any = Patient(client)
    yield patient
    client.close()


@pytest.fixture(scope="module")
def owner(server: Client) -> Iterator[str]:
    name = f"aiw-test-{secrets.token_hex(4)}"
    yield name
    for repo in list(server.get(f"/orgs/{name}/repos", accept=(404,)).body or []):
        if isinstance(repo, dict):
            server.call("DELETE", f"/repos/{name}/{repo['name']}", accept=(404,))
    server.call("DELETE", f"/orgs/{name}", accept=(404,))


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    """As a job calls it: a server takes note of a push a moment after it, and a busy one trips over itself."""
    forge = GiteaForge(
        URL,
        TOKEN,
        mirrors=tmp_path / "mirrors",
        webhook_url="https://aiworker.example.org/api/webhooks/gitea",
        webhook_secret=secrets.token_hex(16),
        import_allow=(),
    )
    patient: Any = Patient(forge)
    yield patient
    forge.close()


@pytest.fixture
def repository(forge: Forge, owner: str) -> Iterator[Repository]:
    repository = Repository(owner, f"shop-{secrets.token_hex(4)}", f"project-{secrets.token_hex(4)}")
    forge.ensure_repository(repository, default_branch="main", description="A shop", import_url=None)
    yield repository
    for project in (repository.project_id, "another-project"):
        ours = Repository(repository.owner, repository.name, project)
        # A test may have given the name to another project.
        with contextlib.suppress(ProviderRefused):
            forge.delete_repository(ours)


@pytest.fixture
def work(server: Client, repository: Repository, tmp_path: Path) -> Iterator[WorkTree]:
    """A person's clone: somebody who may write, and is not the platform."""
    person = new_person(server, f"/repos/{repository.owner}/{repository.name}")
    yield person.clone(tmp_path / "work")
    person.remove(server)


class TestGiteaKeepsTheContract(ForgeContract, CommitsContract, PullsContract, CredentialsContract):
    def test_platform_branches_are_protected_from_pushes(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        kept: Any = forge
        if kept.features.has_patterns:
            super().test_platform_branches_are_protected_from_pushes(forge, repository, work)
            return
        # Before 1.19 a branch must exist to be protected: the platform's are from when it makes them.
        twice(lambda: forge.ensure_protection(repository))
        head = forge.read_head(repository, "main") or ""
        forge.advance(repository, "release/sprint-1", old=None, new=head)
        work.commit({"a": "a"}, on="release/sprint-1")

        work.push("release/sprint-1", accept=(1, 128))

        assert forge.read_head(repository, "release/sprint-1") == head
