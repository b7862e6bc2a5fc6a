"""The local forge keeps the forges' contract, and what only it promises: records on disk, many processes at once."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.forge import BareForge, Forge, renames
from common.providers.forge.pulls import Status
from common.values.pull_request import PullComment, PullState
from common.values.repository import Repository
from tests.patience import PATIENCE_SECONDS
from tests.providers.forge_commits_contract import CommitsContract
from tests.providers.forge_contract import ForgeContract, refused
from tests.providers.forge_pulls_contract import PullsContract
from tests.providers.git_tree import WorkTree, git


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


class TestBareForgeKeepsTheContract(ForgeContract, CommitsContract, PullsContract):
    pass


def test_it_is_a_forge(forge: BareForge) -> None:
    promised: Forge = forge

    assert promised is forge


def test_urls_are_computed(forge: BareForge, repository: Repository, work: WorkTree) -> None:
    state = forge.ensure_repository(repository, default_branch="main", description="", import_url=None)
    pull = forge.ensure_pull_request(repository, head="main", base="main", title="t", body="")

    assert state.url == "https://aiworker.example.org/git/aiworker/shop"
    assert pull.url == "https://aiworker.example.org/git/aiworker/shop/pulls/1"
    assert forge.read_clone_url(repository) == "http://127.0.0.1:3000/git/aiworker/shop.git"


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


def test_a_repository_that_lost_its_default_branch_gets_one(forge: BareForge, repository: Repository) -> None:
    git("update-ref", "-d", "refs/heads/main", at=forge.repository_path(repository))

    state = forge.ensure_repository(repository, default_branch="main", description="", import_url=None)

    assert forge.read_head(repository, "main") == state.default_head


def test_a_tag_called_like_a_branch_is_no_branch(forge: BareForge, repository: Repository, work: WorkTree) -> None:
    git("tag", "refs/heads/task-1", at=work.path)
    work.push("refs/tags/refs/heads/task-1")

    assert forge.read_head(repository, "task-1") is None


def test_a_branch_below_another_branch_is_refused(forge: BareForge, repository: Repository) -> None:
    with refused("bad_name"):
        forge.ensure_branch(repository, "main/below", at=forge.read_head(repository, "main") or "")


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


def test_a_replaced_object_is_seen_as_it_was(forge: BareForge, repository: Repository, work: WorkTree) -> None:
    true = work.commit({"a": "true"}, on="main")
    false = work.commit({"a": "false"}, on="task-1")
    work.push("main", "task-1", f"{false}:refs/replace/{true}")

    assert forge.read_file(repository, commit=true, path="a") == b"true"


def test_any_commit_can_be_fetched_by_its_sha(
    forge: BareForge, repository: Repository, work: WorkTree, tmp_path: Path
) -> None:
    old = work.commit({"a": "1"}, on="task-1")
    work.push("task-1")
    work.commit({"a": "2"}, on="task-1")
    git("commit", "--quiet", "--amend", "--message", "Rewritten", at=work.path)
    git("reset", "--quiet", "--hard", "origin/main", at=work.path)
    work.push("+HEAD:task-1")
    git("init", "--quiet", str(tmp_path / "checkout"))

    git("fetch", "--quiet", "--depth=1", forge.read_source(repository).clone_url, old, at=tmp_path / "checkout")

    assert git("rev-parse", "FETCH_HEAD", at=tmp_path / "checkout") == old


def test_the_surroundings_do_not_count(
    forge: BareForge, repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Mallory")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare=nonsense'")
    other = Repository("aiworker", "other", "project-2")

    state = forge.ensure_repository(other, default_branch="main", description="", import_url=None)

    monkeypatch.undo()
    author = git("log", "-1", "--format=%an", state.default_head, at=forge.repository_path(other))
    assert author == "AiWorker"


def test_comments_and_statuses_can_be_read_back(forge: BareForge, repository: Repository) -> None:
    head = forge.read_head(repository, "main") or ""
    forge.ensure_pull_request(repository, head="main", base="main", title="t", body="")
    for body in ("Running", "Passed"):
        forge.ensure_comment(repository, 1, key="checks", body=body)
        forge.ensure_status(
            repository, commit=head, context="tests", state="success", description=body, target_url="http://x"
        )

    assert forge.read_platform_comments(repository, 1) == [PullComment(id="checks", author="AiWorker", body="Passed")]
    assert forge.read_statuses(repository, head) == [Status("tests", "success", "Passed", "http://x")]


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

_PULL = """
import json, sys
from pathlib import Path
from common.providers.forge import BareForge
from common.values.repository import Repository
root, branch, head = sys.argv[1:]
forge = BareForge(Path(root), public_url="http://x", internal_url="http://x", import_allow=())
sys.stdin.readline()
repository = Repository("aiworker", "shop", "project-1")
print(json.dumps(forge.ensure_pull_request(repository, head=branch, base="main", title=branch, body="").number))
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
    answers = [process.communicate(timeout=PATIENCE_SECONDS)[0] for process in processes]
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


@pytest.mark.slow
def test_pull_requests_made_at_once_have_a_number_each(
    forge: BareForge, repository: Repository, work: WorkTree, root: Path
) -> None:
    head = forge.read_head(repository, "main") or ""
    for number in range(4):
        forge.ensure_branch(repository, f"task-{number}", at=head)

    numbers = at_once(_PULL, root, [(f"task-{number}", head) for number in range(4)])

    assert sorted(map(str, numbers)) == ["1", "2", "3", "4"]
    assert all(forge.read_pull_request(repository, number) is not None for number in range(1, 5))


def test_a_merged_pull_request_is_not_opened_again(forge: BareForge, repository: Repository, work: WorkTree) -> None:
    head = work.commit({"a": "a"}, on="task-1")
    work.push("task-1")
    forge.ensure_pull_request(repository, head="task-1", base="main", title="t", body="")
    forge.close_pull_request(repository, 1, head="task-1", merged_commit=head)
    forge.close_pull_request(repository, 1, head="task-1")

    again = forge.ensure_pull_request(repository, head="task-1", base="main", title="t", body="")

    assert (again.number, again.state, again.merged_commit) == (1, PullState.MERGED, head)


@pytest.mark.parametrize(
    "act",
    [
        lambda forge, repository: forge.close_pull_request(repository, 7, head="task-1"),
        lambda forge, repository: forge.ensure_comment(repository, 7, key="k", body="b"),
        lambda forge, repository: forge.ensure_pictures(repository, 7, head="a", version="v", body="b", pictures=[]),
        lambda forge, repository: forge.read_platform_comments(repository, 7),
    ],
)
def test_a_pull_request_that_is_not_there_is_refused(
    forge: BareForge, repository: Repository, act: Callable[[BareForge, Repository], None]
) -> None:
    with refused("no_pull_request"):
        act(forge, repository)


def test_a_forge_that_can_not_write_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = BareForge(tmp_path / "file" / "root", public_url="http://x", internal_url="http://x", import_allow=())

    with pytest.raises(ProviderUnavailable, match="can't be created"):
        broken.ping()


def test_nothing_of_a_deleted_repository_is_left(forge: BareForge, repository: Repository, root: Path) -> None:
    for _ in range(2):
        forge.delete_repository(repository)
        assert list((root / repository.owner).iterdir()) == []

    forge.ensure_repository(repository, default_branch="main", description="", import_url=None)
    assert forge.read_head(repository, "main") is not None


@pytest.mark.slow
def test_a_change_of_too_many_files_to_find_all_renames_is_listed_without_those_that_were_changed_too(
    forge: BareForge, repository: Repository, work: WorkTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = {str(number): "".join(f"{number} {line}\n" for line in range(5000)) for number in range(80)}
    base = work.commit({f"old/{name}": text for name, text in large.items()} | {"old/same": "same\n"}, on="main")
    changed = {f"new/{name}": f"{text}more\n" for name, text in large.items()}
    gone: dict[str, str | None] = dict.fromkeys([f"old/{name}" for name in [*large, "same"]])
    head = work.commit({**gone, **changed, "new/same": "same\n"}, on="task-1")
    work.push("main", "task-1")
    monkeypatch.setattr(renames, "SEARCH_SECONDS", 0.0)

    changes = forge.read_changes(repository, base=base, head=head)
    diff = forge.diff(repository, base=base, head=head, max_bytes=2**26)

    found = {(it.before and it.before.path, it.after and it.after.path) for it in changes}
    assert found == {
        ("old/same", "new/same"),
        *((f"old/{name}", None) for name in large),
        *((None, f"new/{name}") for name in large),
    }
    assert {(it.old_path, it.path) for it in diff.files if it.status == "renamed"} == {("old/same", "new/same")}
    assert len(diff.files) == len(changes)
    assert "rename from old/same\n" in diff.patch
    assert diff.patch.count("rename from ") == 1
