"""The Gitea forge keeps the forges' contract, on a new server and on an old one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.providers.forge import Forge
from common.providers.forge.gitea import GiteaForge
from common.values.repository import Repository
from tests.doubles.gitea import GiteaDouble, basic
from tests.providers.forge_commits_contract import CommitsContract
from tests.providers.forge_contract import ForgeContract, twice
from tests.providers.forge_credentials_contract import CredentialsContract, address
from tests.providers.forge_pulls_contract import PullsContract
from tests.providers.git_work_tree import WorkTree, git

pytestmark = pytest.mark.slow

NEW, OLD = "1.26.2", "1.15.0"


@pytest.fixture
def version() -> str:
    return NEW


@contextlib.contextmanager
def served(root: Path, version: str) -> Iterator[GiteaDouble]:
    double = GiteaDouble(root, version=version)
    yield double
    double.close()
    assert double.violations == []


@pytest.fixture
def server(tmp_path: Path, version: str) -> Iterator[GiteaDouble]:
    with served(tmp_path, version) as double:
        yield double


@pytest.fixture
def forge(server: GiteaDouble, tmp_path: Path) -> Iterator[GiteaForge]:
    forge = GiteaForge(
        server.url,
        server.token,
        mirrors=tmp_path / "mirrors",
        webhook_url="http://aiworker.example.org/api/webhooks/gitea",
        webhook_secret="a secret of the tests",
        import_allow=("127.0.0.1",),
    )
    yield forge
    forge.close()


@pytest.fixture
def repository(forge: GiteaForge) -> Repository:
    repository = Repository("aiworker", "shop", "project-1")
    forge.ensure_repository(repository, default_branch="main", description="A shop", import_url=None)
    return repository


@pytest.fixture
def work(server: GiteaDouble, forge: GiteaForge, repository: Repository, tmp_path: Path) -> WorkTree:
    """A person's clone."""
    person = server.person("ada", writes=(repository.owner, repository.name))
    return WorkTree(tmp_path / "work", basic(forge.read_clone_url(repository), person.login, person.password))


class TestANewServerKeepsTheContract(ForgeContract, CommitsContract, PullsContract, CredentialsContract):
    pass


def test_owners_push_to_the_default_branch_where_that_is_allowed_and_never_by_force(
    server: GiteaDouble, forge: GiteaForge, repository: Repository, work: WorkTree
) -> None:
    server.model.owners.add("ada")
    forge.ensure_protection(repository)
    start = forge.read_head(repository, "main") or ""
    first = work.commit({"a": "1"}, on="main")
    work.push("main", accept=(1,))
    assert forge.read_head(repository, "main") == start

    twice(lambda: forge.ensure_protection(repository, allows_direct_push=True))
    # What the platform does with rules of its own in the meantime changes nothing of that.
    forge.advance(repository, "staging", old=None, new=start)
    work.push("main")
    git("commit", "--quiet", "--amend", "--message", "Forced", at=work.path)
    work.push("+main", accept=(1,))
    work.push(":main", accept=(1,))
    assert forge.read_head(repository, "main") == first

    git("reset", "--quiet", "--hard", first, at=work.path)
    work.commit({"a": "2"}, on="main")
    forge.ensure_protection(repository, allows_direct_push=False)
    work.push("main", accept=(1,))
    assert forge.read_head(repository, "main") == first


def test_tags_of_releases_are_the_platforms(forge: GiteaForge, repository: Repository, work: WorkTree) -> None:
    twice(lambda: forge.ensure_protection(repository))
    start = forge.read_head(repository, "main") or ""
    work.commit({"a": "1"}, on="main")

    twice(lambda: forge.ensure_tag(repository, "released/one", at=start))
    for refspec in ("+main:refs/tags/released/one", ":refs/tags/released/one", "main:refs/tags/released/two"):
        work.push(refspec, accept=(1,))
    work.push("main:refs/tags/mine")

    forge.ensure_tag(repository, "released/one", at=start)
    assert "released/two" not in git("ls-remote", "--tags", "origin", at=work.path)


class TestAServerWithoutPasswordsKeepsTheContract:
    """As where people come by single sign-on: [service] ENABLE_BASIC_AUTHENTICATION = false."""

    @pytest.fixture
    def server(self, tmp_path: Path, version: str) -> Iterator[GiteaDouble]:
        with served(tmp_path, version) as double:
            double.access.takes_passwords = False
            yield double

    test_a_run_pushes_its_own_branch_alone = CredentialsContract.test_a_run_pushes_its_own_branch_alone
    test_a_run_that_is_over_does_nothing = CredentialsContract.test_a_run_that_is_over_neither_pushes_nor_reads

    @pytest.mark.parametrize("version", ["1.19.4", OLD])
    def test_a_token_has_the_scopes_of_its_servers_time(self, forge: Forge, repository: Repository) -> None:
        credential = forge.ensure_credential(repository, branch="main", run_id="r")

        assert git("ls-remote", address(forge, repository, credential))


class TestAnOldServerKeepsTheContract:
    """What depends on the server's version; the code itself goes by git, which is the same on all."""

    test_two_branches_have_one_pull_request = PullsContract.test_two_branches_have_one_pull_request
    test_a_merged_pull_request_says_which = PullsContract.test_a_merged_pull_request_says_by_which_commit
    test_a_run_pushes_its_own_branch_alone = CredentialsContract.test_a_run_pushes_its_own_branch_alone
    test_a_repository_starts_with_one_commit = ForgeContract.test_a_repository_starts_with_one_commit
    test_a_status_can_be_set_again = ForgeContract.test_a_status_can_be_set_again
    test_own_statuses_are_no_ci = ForgeContract.test_the_platforms_own_statuses_are_not_the_repositorys_ci
    test_a_credential_is_made_and_deleted_again = ForgeContract.test_a_credential_is_made_and_deleted_again
    test_a_webhook_can_be_ensured_again = ForgeContract.test_a_webhook_can_be_ensured_again

    @pytest.fixture
    def version(self) -> str:
        return OLD

    def test_platform_branches_are_protected_from_pushes(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        """Before 1.19 a branch must exist to be protected: the platform's are from when it makes them."""
        twice(lambda: forge.ensure_protection(repository))
        head = forge.read_head(repository, "main") or ""
        forge.advance(repository, "release/sprint-1", old=None, new=head)
        work.commit({"a": "a"}, on="release/sprint-1")

        work.push("release/sprint-1", accept=(1, 128))

        assert forge.read_head(repository, "release/sprint-1") == head


def test_the_platform_knows_its_own_names(server: GiteaDouble, forge: GiteaForge, repository: Repository) -> None:
    run = forge.ensure_credential(repository, branch="main", run_id="r")

    assert [forge.is_own_login(name) for name in (server.admin.login, run.username, "ada")] == [True, True, False]
