"""The local forge keeps the forges' contract, and what only it promises: records on disk, many processes at once."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.forge import BareForge
from common.values.delivery.pull_request import PullState
from common.values.repository import Repository
from tests.long_waits import LONG_WAIT_SECONDS
from tests.providers.forge_commits_contract import CommitsContract, CommitsInDetailContract
from tests.providers.forge_contract import ForgeContract, refused
from tests.providers.forge_pulls_contract import PullsContract
from tests.providers.git_work_tree import WorkTree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "repositories"


@pytest.fixture
def forge(root: Path) -> BareForge:
    return BareForge(
        root, public_url="https://aiworker.example.org", internal_url="http://127.0.0.1:3000", import_allow=()
    )


@pytest.fixture
def repository(forge: BareForge) -> Repository:
    repository = Repository("aiworker", "shop", "project-1")
    forge.ensure_repository(repository, default_branch="main", description="A shop", import_url=None)
    return repository


@pytest.fixture
def work(forge: BareForge, repository: Repository, tmp_path: Path) -> WorkTree:
    return WorkTree(tmp_path / "work", forge.read_source(repository).clone_url)


class TestBareForgeKeepsTheContract(ForgeContract, CommitsContract, CommitsInDetailContract, PullsContract):
    pass


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a.b", "-" * 41, "a\n"])
def test_a_name_that_could_leave_the_directory_is_refused(forge: BareForge, name: str) -> None:
    for repository in (Repository("aiworker", name, "p"), Repository(name, "shop", "p")):
        with refused("bad_name"):
            forge.ensure_repository(repository, default_branch="main", description="", import_url=None)


def test_a_directory_that_is_not_ours_is_left_alone(forge: BareForge, root: Path) -> None:
    (root / "aiworker" / "shop.git").mkdir(parents=True)
    (root / "aiworker" / "shop.git" / "precious").write_text("mine")

    with pytest.raises((ProviderRefused, ProviderUnavailable)):
        forge.ensure_repository(
            Repository("aiworker", "shop", "p"), default_branch="main", description="", import_url=None
        )
    with refused("foreign"):
        forge.delete_repository(Repository("aiworker", "shop", "p"))
    assert (root / "aiworker" / "shop.git" / "precious").read_text() == "mine"


def test_a_link_is_not_read_as_a_file(forge: BareForge, repository: Repository, work: WorkTree) -> None:
    os.symlink("/etc/passwd", work.path / "link")
    commit = work.commit({}, on="main")
    work.push("main")

    assert forge.read_file(repository, commit=commit, path="link") is None


def test_hooks_in_a_repository_never_run(forge: BareForge, repository: Repository, work: WorkTree) -> None:
    hook = forge.repository_path(repository) / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {work.path}/ran\n")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)

    forge.ensure_branch(repository, "task-1", at=forge.read_head(repository, "main") or "")
    work.commit({"a": "a"}, on="task-2")
    work.push("task-2")

    assert not (work.path / "ran").exists()


def test_a_credential_names_the_branch_it_may_push(forge: BareForge, repository: Repository) -> None:
    old = forge.ensure_credential(repository, branch="task-1", run_id="r1")
    new = forge.ensure_credential(repository, branch="task-1", run_id="r1")
    other = forge.ensure_credential(repository, branch="task-2", run_id="r2")

    assert forge.check_credential(repository, new.username, new.password) == "task-1"
    assert forge.check_credential(repository, other.username, other.password) == "task-2"
    for username, password in [
        (old.username, old.password),
        (other.username, new.password),
        ("r1", new.password),
        ("run-absent", new.password),
        (new.username, ""),
        (new.username, "\ud800"),
    ]:
        assert forge.check_credential(repository, username, password) is None
    forge.delete_credential(repository, run_id="r1")
    assert forge.check_credential(repository, new.username, new.password) is None


def test_a_password_is_kept_as_a_hash_only(forge: BareForge, repository: Repository) -> None:
    credential = forge.ensure_credential(repository, branch="task-1", run_id="r1")

    kept = [path.read_bytes() for path in forge.repository_path(repository).rglob("*") if path.is_file()]

    assert not any(credential.password.encode() in content for content in kept)


_MERGE = """
import json, sys
from pathlib import Path
from common.errors import ProviderRefused
from common.providers.forge import BareForge
from common.values.repository import Repository
root, commit, head = sys.argv[1:]
forge = BareForge(Path(root), public_url="http://x", internal_url="http://x", import_allow=())
sys.stdin.readline()
try:
    result = forge.merge(Repository("aiworker", "shop", "project-1"), into="main", commit=commit, expected_head=head,
                         message="Merge")
    print(json.dumps(result.commit))
except ProviderRefused as refusal:
    assert refusal.code == "head_moved", refusal
    print("null")
"""


def at_once(program: str, root: Path, arguments: list[tuple[str, str]]) -> list[object]:
    """What processes printed that were all started first, and let go together."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(root), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for words in arguments
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=LONG_WAIT_SECONDS)[0] for process in processes]
    return [json.loads(answer) for answer in answers]


@pytest.mark.slow
def test_of_many_merges_at_once_exactly_one_wins(
    forge: BareForge, repository: Repository, work: WorkTree, root: Path
) -> None:
    head = forge.read_head(repository, "main") or ""
    commits = [work.commit({str(number): "x"}, on=f"task-{number}", start=head) for number in range(4)]
    work.push(*(f"task-{number}" for number in range(4)))

    answers = at_once(_MERGE, root, [(commit, head) for commit in commits])

    winners = [answer for answer in answers if answer is not None]
    assert winners == [forge.read_head(repository, "main")]


def test_a_merged_pull_request_is_not_opened_again(forge: BareForge, repository: Repository, work: WorkTree) -> None:
    head = work.commit({"a": "a"}, on="task-1")
    work.push("task-1")
    forge.ensure_pull_request(repository, head="task-1", base="main", title="t", body="")
    forge.close_pull_request(repository, 1, head="task-1", merged_commit=head)
    forge.close_pull_request(repository, 1, head="task-1")

    again = forge.ensure_pull_request(repository, head="task-1", base="main", title="t", body="")

    assert (again.number, again.state, again.merged_commit) == (1, PullState.MERGED, head)
