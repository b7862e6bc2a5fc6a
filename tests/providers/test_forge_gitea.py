"""The Gitea forge keeps the forges' contract, on a new server and on an old one."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import ProviderUnavailable
from common.providers.forge import Forge
from common.providers.forge.gitea import GiteaForge
from common.values.repository import Repository
from tests.doubles.gitea import Fault, GiteaDouble, basic
from tests.providers.forge_commits_contract import CommitsContract
from tests.providers.forge_contract import ForgeContract, refused, twice
from tests.providers.forge_credentials_contract import CredentialsContract, address
from tests.providers.forge_pulls_contract import PullsContract
from tests.providers.git_tree import WorkTree, git
from tests.providers.gitea_shop import client_of

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


def test_no_branch_can_be_pushed_in_the_way_of_the_platforms(
    forge: GiteaForge, repository: Repository, work: WorkTree
) -> None:
    twice(lambda: forge.ensure_protection(repository))
    head = work.commit({"a": "1"}, on="main")

    for name in ("release", "staging/one"):
        work.push(f"main:{name}", accept=(1,))
        assert forge.read_head(repository, name) is None
    work.push("main:released")
    assert forge.read_head(repository, "released") == head


def test_a_branch_that_is_in_the_way_already_can_be_deleted(
    forge: GiteaForge, repository: Repository, work: WorkTree
) -> None:
    work.commit({"a": "1"}, on="main")
    for name in ("release", "staging/one"):
        work.push(f"main:{name}")

    twice(lambda: forge.ensure_protection(repository))
    for name in ("release", "staging/one"):
        work.push(f":{name}")

    forge.ensure_protection(repository)
    for name in ("release", "staging/one"):
        work.push(f"main:{name}", accept=(1,))


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


def test_the_platform_knows_its_own_names(server: GiteaDouble, forge: GiteaForge, repository: Repository) -> None:
    run = forge.ensure_credential(repository, branch="main", run_id="r")

    assert [forge.is_own_login(name) for name in (server.admin.login, run.username, "ada")] == [True, True, False]


class TestAServerWithoutPasswordsKeepsTheContract(CredentialsContract):
    """As where people come by single sign-on: [service] ENABLE_BASIC_AUTHENTICATION = false."""

    @pytest.fixture
    def server(self, tmp_path: Path, version: str) -> Iterator[GiteaDouble]:
        with served(tmp_path, version) as double:
            double.access.takes_passwords = False
            yield double

    @pytest.mark.parametrize("version", ["1.19.4", OLD])
    def test_a_token_has_the_scopes_of_its_servers_time(self, forge: Forge, repository: Repository) -> None:
        credential = forge.ensure_credential(repository, branch="main", run_id="r")

        assert git("ls-remote", address(forge, repository, credential))

    def test_a_token_whose_answer_was_lost_is_made_anew(
        self, server: GiteaDouble, forge: Forge, repository: Repository
    ) -> None:
        server.faults.append(Fault("POST .*/tokens$", "apply_then_500"))

        with pytest.raises(ProviderUnavailable):
            forge.ensure_credential(repository, branch="main", run_id="r")
        credential = forge.ensure_credential(repository, branch="main", run_id="r")

        assert git("ls-remote", address(forge, repository, credential))

    def test_a_server_that_gives_no_token_either_is_named(
        self, server: GiteaDouble, forge: Forge, repository: Repository
    ) -> None:
        server.faults += [Fault("POST .*/tokens$", "unknown") for _ in range(3)]

        with refused("no_login"):
            forge.ensure_credential(repository, branch="main", run_id="r")


class TestAnOldServerKeepsTheContract(PullsContract, CredentialsContract):
    """What depends on the server's version; the code itself goes by git, which is the same on all."""

    test_a_repository_starts_with_one_commit = ForgeContract.test_a_repository_starts_with_one_commit
    test_a_name_can_be_used_again = ForgeContract.test_a_name_can_be_used_again_by_another_project
    test_the_pointer_may_go_anywhere = ForgeContract.test_the_platforms_own_pointer_may_go_anywhere
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


@pytest.mark.parametrize("version", [OLD])
def test_a_server_that_was_updated_gets_the_rules_that_it_takes_now_before_the_next_run(
    server: GiteaDouble, forge: GiteaForge, repository: Repository, tmp_path: Path
) -> None:
    forge.ensure_protection(repository, allows_direct_push=True)
    repo = server.repo(repository.owner, repository.name)
    before = dict(repo.rules)
    server.update_to(NEW)
    with contextlib.closing(client_of(server, tmp_path)) as later:
        later.ensure_credential(repository, branch="aiworker/task", run_id="r")

    assert {*repo.rules} >= {*before, "staging", "release/**", "release", "staging/**"}
    assert repo.rules["main"] == before["main"]


def test_what_a_killed_git_left_locked_in_the_mirror_stops_nobody(
    forge: GiteaForge, repository: Repository, work: WorkTree, tmp_path: Path
) -> None:
    head = forge.read_head(repository, "main") or ""
    forge.diff(repository, base=head, head=head)
    (mirror,) = [path for path in (tmp_path / "mirrors").rglob("*.git") if path.is_dir()]
    for name in ("config.lock", "packed-refs.lock", "refs/remotes/heads/task-1.lock"):
        (mirror / name).parent.mkdir(parents=True, exist_ok=True)
        (mirror / name).touch()

    new = work.commit({"a": "a"}, on="task-1", start="origin/main")
    work.push("task-1")
    assert [file.path for file in forge.diff(repository, base=head, head=new).files] == ["a"]


def test_a_mirror_with_many_packs_is_packed_and_keeps_what_no_branch_names(
    forge: GiteaForge, repository: Repository, work: WorkTree, tmp_path: Path
) -> None:
    first = work.commit({"a": "1"}, on="task-1", start="origin/main")
    work.push("task-1")
    assert forge.contains(repository, ancestor=first, head=first)
    (mirror,) = [path for path in (tmp_path / "mirrors").rglob("*.git") if path.is_dir()]
    packs = mirror / "objects" / "pack"
    left = []
    for number in range(60):
        (tmp_path / "blob").write_text(str(number))
        blob = git("hash-object", "-w", str(tmp_path / "blob"), at=mirror)
        (tmp_path / "blobs").write_text(f"{blob}\n")
        with (tmp_path / "blobs").open() as names:
            command = ["git", "pack-objects", "--quiet", str(packs / "pack")]
            subprocess.run(command, cwd=mirror, stdin=names, stdout=subprocess.DEVNULL, check=True)
        left.append(blob)
    assert len(list(packs.glob("*.pack"))) == 60

    second = work.commit({"a": "2"}, on="task-1")
    work.push("task-1")
    assert forge.contains(repository, ancestor=first, head=second)
    assert len(list(packs.glob("*.pack"))) <= 2
    for blob in left:
        git("cat-file", "-e", blob, at=mirror)
