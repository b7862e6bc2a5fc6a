"""What a Gitea server can do to its client: fail after the effect, hang, slow down, change, and lie about merging."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.forge import Merged
from common.providers.forge.gitea import GiteaForge
from common.providers.forge.gitea.features import parse_version
from common.values.pull_request import PullComment, PullState
from common.values.repository import Repository
from tests.doubles.gitea import Fault, GiteaDouble, basic
from tests.doubles.gitea.pulls import add_review
from tests.e2e.origin import served_repository
from tests.providers.forge_contract import refused
from tests.providers.git_tree import WorkTree, git

SHOP = Repository("aiworker", "shop", "project-1")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GiteaDouble]:
    double = GiteaDouble(tmp_path)
    yield double
    double.close()
    assert double.violations == []


def client_of(server: GiteaDouble, folder: Path, seconds: float = 10) -> GiteaForge:
    return GiteaForge(
        server.url, server.token, mirrors=folder / "mirrors", webhook_url="http://x.example.org/hook",
        webhook_secret="secret", import_allow=("127.0.0.1",), timeout=(3, seconds),
    )  # fmt: skip


@pytest.fixture
def forge(server: GiteaDouble, tmp_path: Path) -> Iterator[GiteaForge]:
    forge = client_of(server, tmp_path)
    yield forge
    forge.close()


def make(forge: GiteaForge) -> str:
    state = forge.ensure_repository(SHOP, default_branch="main", description="A shop", import_url=None)
    return state.default_head


@pytest.fixture
def head(forge: GiteaForge) -> str:
    """The repository is there, with a branch `task-1` one commit ahead of main."""
    return make(forge)


@pytest.fixture
def work(server: GiteaDouble, forge: GiteaForge, head: str, tmp_path: Path) -> WorkTree:
    person = server.person("ada", writes=("aiworker", "shop"))
    return WorkTree(tmp_path / "work", basic(forge.read_clone_url(SHOP), person.login, person.password))


def pushed(work: WorkTree, on: str = "task-1") -> str:
    commit = work.commit({"a": "a"}, on=on)
    work.push(on)
    return commit


def again(act: Callable[[], Any]) -> Any:
    """What a job does: the same call once more after one that may or may not have had its effect."""
    with pytest.raises(ProviderUnavailable):
        act()
    return act()


@pytest.mark.parametrize("match", ["POST /api/v1/orgs$", "POST .*/repos$", "POST .*git-receive-pack", "PATCH .*/shop$"])
def test_a_repository_is_made_once(server: GiteaDouble, forge: GiteaForge, match: str) -> None:
    server.faults.append(Fault(match, "apply_then_500"))

    head = again(lambda: make(forge))

    repo = server.repo("aiworker", "shop")
    assert (repo.refs(), repo.fields["description"]) == (
        {"refs/heads/main": head},
        "A shop (AiWorker project project-1)",
    )
    assert server.effects["POST /orgs/aiworker/repos"] == server.effects["push aiworker/shop"] == 1


def test_every_other_call_may_fail_after_its_effect(server: GiteaDouble, forge: GiteaForge, work: WorkTree) -> None:
    commit = pushed(work)
    head = forge.read_head(SHOP, "main") or ""
    repo = server.repo("aiworker", "shop")
    pull = "/repos/aiworker/shop/pulls"
    acts: list[tuple[str, Callable[[], object]]] = [
        ("POST .*/pulls$", lambda: forge.ensure_pull_request(SHOP, head="task-1", base="main", title="A", body="")),
        ("POST .*/comments$", lambda: forge.ensure_comment(SHOP, 1, key="k", body="said")),
        ("POST .*/hooks$", lambda: forge.ensure_webhook(SHOP)),
        ("POST .*/branch_protections$", lambda: forge.ensure_protection(SHOP)),
        ("POST .*/statuses/", lambda: forge.ensure_status(
            SHOP, commit=commit, context="c", state="success", description="d", target_url=None)),
        ("POST .*/admin/users$", lambda: forge.ensure_credential(SHOP, branch="task-1", run_id="r")),
        ("PATCH .*/admin/users/", lambda: forge.delete_credential(SHOP, run_id="r")),
        ("POST .*/admin/users$", lambda: forge.ensure_credential(SHOP, branch="task-1", run_id="r")),
        ("DELETE .*/admin/users/", lambda: [forge.delete_credential(SHOP, run_id="r") for _ in range(2)]),
        ("git-receive-pack", lambda: forge.merge(SHOP, into="main", commit=commit, expected_head=head, message="M")),
        ("git-receive-pack", lambda: forge.ensure_tag(SHOP, "v1", at=commit)),
        ("git-receive-pack", lambda: forge.ensure_branch(SHOP, "task-2", at=commit)),
        ("POST .*/merge$", lambda: forge.close_pull_request(SHOP, 1, merged_commit=forge.read_head(SHOP, "main"))),
    ]  # fmt: skip
    for match, act in acts:
        server.faults.append(Fault(match, "apply_then_500"))
        with pytest.raises(ProviderUnavailable):
            act()
        act()
        assert server.faults.pop().has_struck

    assert [server.effects[f"POST {path}"] for path in (pull, "/repos/aiworker/shop/issues/1/comments")] == [1, 1]
    assert (len(repo.hooks), len(repo.statuses), sorted(repo.rules)) == (1, 1, ["main", "release/**", "staging"])
    assert not [login for login in server.model.users if login.startswith("aiw-run-")]
    merge = repo.refs()["refs/heads/main"]
    assert git("rev-list", "--parents", "-1", merge, at=repo.path).split()[1:] == [head, commit]
    assert repo.pulls[1]["merge_commit_sha"] == merge
    # The start, the push of a person, the merge, the tag, and the new branch.
    assert server.effects["push aiworker/shop"] == 5


@pytest.mark.parametrize("do", ["hang", "reset", "500", "apply_then_hang"])
def test_a_server_in_trouble_is_unavailable(server: GiteaDouble, tmp_path: Path, do: str) -> None:
    hasty = client_of(server, tmp_path, seconds=0.3)
    server.faults.append(Fault("POST .*/repos$", do))
    try:
        again(lambda: make(hasty))
    finally:
        hasty.close()
    assert server.effects["POST /orgs/aiworker/repos"] == 1


@pytest.mark.parametrize("do", ["500", "reset", "unknown"])
@pytest.mark.parametrize("match", ["GET .*/pulls/1$", "GET .*/info/refs", "POST .*/git-upload-pack"])
def test_a_read_is_asked_for_again_before_anybody_hears_of_it(
    server: GiteaDouble, forge: GiteaForge, head: str, work: WorkTree, match: str, do: str
) -> None:
    commit = pushed(work)
    forge.ensure_pull_request(SHOP, head="task-1", base="main", title="A", body="")
    fault = Fault(match, do)
    server.faults.append(fault)

    found = forge.read_pull_request(SHOP, 1)
    diff = forge.diff(SHOP, base=head, head=commit)

    assert found is not None
    assert [file.path for file in diff.files] == ["a"]
    assert fault.has_struck


def test_who_was_not_known_for_a_moment_has_changed_nothing_and_may_ask_again(
    server: GiteaDouble, forge: GiteaForge, work: WorkTree
) -> None:
    commit, head = pushed(work), forge.read_head(SHOP, "main") or ""
    calls = ["POST .*/pulls$", "POST .*/comments$", "POST .*git-receive-pack", "DELETE .*/shop$"]
    faults = [Fault(call, "unknown") for call in calls]
    server.faults.extend(faults)

    forge.ensure_pull_request(SHOP, head="task-1", base="main", title="A", body="")
    forge.ensure_comment(SHOP, 1, key="k", body="said")
    merged = forge.merge(SHOP, into="main", commit=commit, expected_head=head, message="M")
    assert isinstance(merged, Merged)
    forge.delete_repository(SHOP)

    assert all(fault.has_struck for fault in faults)
    assert server.model.repos == {}


def test_a_server_that_stays_in_trouble_is_unavailable(server: GiteaDouble, forge: GiteaForge, head: str) -> None:
    server.faults.extend(Fault("GET .*/pulls/1$", "500") for _ in range(3))

    with pytest.raises(ProviderUnavailable, match="500"):
        forge.read_pull_request(SHOP, 1)
    assert forge.read_pull_request(SHOP, 1) is None


def test_a_slow_server_is_waited_for(server: GiteaDouble, forge: GiteaForge) -> None:
    server.faults.append(Fault("POST .*/repos$", "slow"))

    assert make(forge)


def test_what_the_server_asks_to_wait_is_told(server: GiteaDouble, forge: GiteaForge, head: str) -> None:
    server.faults.append(Fault("GET .*/shop$", "429"))

    with pytest.raises(ProviderUnavailable) as busy:
        forge.read_head(SHOP, "main")

    assert busy.value.retry_after_seconds == 7


def test_a_token_that_is_no_longer_good_is_told_with_the_remedy(
    server: GiteaDouble, forge: GiteaForge, head: str
) -> None:
    server.admin.token = "another"

    with pytest.raises(ProviderRefused, match="set GITEA_TOKEN to a valid one") as refusal:
        forge.read_head(SHOP, "main")
    assert server.token not in refusal.value.message


def test_a_push_that_the_server_could_not_judge_is_not_forbidden(
    server: GiteaDouble, forge: GiteaForge, head: str
) -> None:
    server.faults.append(Fault("POST .*git-receive-pack", "broken_hook"))

    assert again(lambda: forge.ensure_branch(SHOP, "task-1", at=head)) == head


@pytest.mark.parametrize("is_imported", [False, True])
def test_a_server_that_lost_sight_of_the_first_push_is_made_to_look(
    server: GiteaDouble, forge: GiteaForge, tmp_path: Path, is_imported: bool
) -> None:
    server.faults.append(Fault("POST .*git-receive-pack", "unnoticed"))
    with contextlib.ExitStack() as opened:
        url = opened.enter_context(served_repository(tmp_path)) if is_imported else None

        state = again(
            lambda: forge.ensure_repository(SHOP, default_branch="main", description="A shop", import_url=url)
        )

    repo = server.repo("aiworker", "shop")
    assert repo.refs() == {"refs/heads/main": state.default_head}
    assert (repo.json()["empty"], repo.fields["default_branch"]) == (False, "main")


def test_nothing_is_believed_to_be_gone_by_who_is_not_known(server: GiteaDouble, forge: GiteaForge, head: str) -> None:
    server.admin.token = "another"

    for act in (lambda: forge.delete_repository(SHOP), lambda: forge.delete_credential(SHOP, run_id="r")):
        with pytest.raises(ProviderRefused, match="set GITEA_TOKEN to a valid one"):
            act()


def test_a_half_made_repository_is_completed(server: GiteaDouble, forge: GiteaForge) -> None:
    server.model.organisations.add("aiworker")
    fields = {"description": "(AiWorker project project-1, being made)", "default_branch": "master"}
    server.model.add_repo("aiworker", "shop", fields)

    make(forge)

    assert set(server.repo("aiworker", "shop").refs()) == {"refs/heads/main"}
    assert server.repo("aiworker", "shop").fields["default_branch"] == "main"


@pytest.mark.parametrize(
    "description", ["", "A shop", "(AiWorker project project-12)", "(AiWorker project project-1) x"]
)
def test_a_repository_without_our_mark_is_foreign(server: GiteaDouble, forge: GiteaForge, description: str) -> None:
    server.model.organisations.add("aiworker")
    server.model.add_repo("aiworker", "shop", {"description": description, "default_branch": "main"})

    for verb in (lambda: make(forge), lambda: forge.delete_repository(SHOP), lambda: forge.ensure_webhook(SHOP)):
        with refused("foreign"):
            verb()
    assert ("aiworker", "shop") in server.model.repos


def test_a_history_is_imported_whole_also_when_cut_off(server: GiteaDouble, forge: GiteaForge, work: WorkTree) -> None:
    commit = pushed(work)
    forge.ensure_tag(SHOP, "v1", at=commit)
    server.repo("aiworker", "shop").fields["private"] = False
    copy, url = Repository("aiworker", "copy", "project-2"), forge.read_clone_url(SHOP)
    server.faults.append(Fault("aiworker/copy.git/git-receive-pack", "apply_then_500"))

    again(lambda: forge.ensure_repository(copy, default_branch="main", description="", import_url=url))

    assert server.repo("aiworker", "copy").refs() == server.repo("aiworker", "shop").refs()


def test_405_is_ambiguous_so_the_pull_request_is_read(server: GiteaDouble, forge: GiteaForge, work: WorkTree) -> None:
    commit = pushed(work)
    forge.ensure_pull_request(SHOP, head="task-1", base="main", title="A", body="")
    forge.advance(SHOP, "main", old=forge.read_head(SHOP, "main"), new=commit)
    server.repo("aiworker", "shop").is_still_checking = 1

    again(lambda: forge.close_pull_request(SHOP, 1, merged_commit=commit))

    assert server.repo("aiworker", "shop").pulls[1]["merged"]


def test_where_merging_can_not_be_marked_a_comment_says_it(
    server: GiteaDouble, forge: GiteaForge, work: WorkTree
) -> None:
    commit = pushed(work)
    forge.ensure_pull_request(SHOP, head="task-1", base="main", title="A", body="")
    forge.advance(SHOP, "main", old=forge.read_head(SHOP, "main"), new=commit)
    server.repo("aiworker", "shop").allows_manual_merge = False

    for _ in range(2):
        forge.close_pull_request(SHOP, 1, merged_commit=commit)

    pull = forge.read_pull_request(SHOP, 1)
    assert pull is not None
    assert (pull.state, pull.merged_commit) == (PullState.MERGED, commit)
    assert len(server.repo("aiworker", "shop").comments) == 1


def test_what_people_say_is_read_and_what_programs_say_is_not(
    server: GiteaDouble, forge: GiteaForge, work: WorkTree
) -> None:
    pushed(work)
    forge.ensure_pull_request(SHOP, head="task-1", base="main", title="A", body="")
    credential = forge.ensure_credential(SHOP, branch="task-1", run_id="r")
    repo, ada = server.repo("aiworker", "shop"), server.model.users["ada"]
    forge.ensure_comment(SHOP, 1, key="k", body="The platform's")
    server.comment(server.model.users[credential.username], repo, 1, "An agent's")
    server.comment(ada, repo, 1, "Nice")
    remark = {"path": "a", "position": 1, "body": "Why?"}
    add_review(server.as_person(ada), repo, 1, state="REQUEST_CHANGES", body="Not yet", remarks=[remark])
    add_review(server.as_person(ada), repo, 1, state="PENDING", body="Unsent", remarks=[])

    said = forge.read_comments(SHOP, 1)

    assert [(one.body, one.path, one.line, one.asks_for_change) for one in said] == [
        ("Nice", None, None, False), ("Not yet", None, None, True), ("Why?", "a", 1, True),
    ]  # fmt: skip
    assert all(isinstance(one, PullComment) and one.author == "ada" for one in said)


def test_who_pushed_is_there_until_the_server_has_taken_note(server: GiteaDouble, forge: GiteaForge, head: str) -> None:
    credential = forge.ensure_credential(SHOP, branch="task-1", run_id="r1")
    url = basic(forge.read_clone_url(SHOP), credential.username, credential.password)
    assert git("ls-remote", url)

    is_gone = forge.delete_credential(SHOP, run_id="r1")

    assert not is_gone
    assert credential.username in server.model.users
    git("ls-remote", url, accept=(128,))
    assert forge.delete_credential(SHOP, run_id="r1")
    assert sorted(server.model.users) == ["platform"]


def test_a_deleted_repository_takes_its_runs_users_along(server: GiteaDouble, forge: GiteaForge, head: str) -> None:
    forge.ensure_credential(SHOP, branch="main", run_id="r1")
    forge.ensure_credential(SHOP, branch="main", run_id="r2")
    forge.delete_credential(SHOP, run_id="r2")

    forge.delete_repository(SHOP)

    assert sorted(server.model.users) == ["platform"]


def test_a_token_of_no_administrator_gives_no_credential(
    server: GiteaDouble, forge: GiteaForge, tmp_path: Path
) -> None:
    server.model.add_user("bot", "x", token="b" * 40)
    server.model.organisations.add("aiworker")
    plain = GiteaForge(
        server.url, "b" * 40, mirrors=tmp_path / "m", webhook_url="http://x", webhook_secret="s", import_allow=()
    )
    own = Repository("bot", "shop", "project-1")
    plain.ensure_repository(own, default_branch="main", description="", import_url=None)

    with refused("not_admin"):
        plain.ensure_credential(own, branch="main", run_id="r")
    plain.close()


@pytest.mark.parametrize(
    ("name", "version", "is_warned"),
    [("1.26.2", (1, 26, 2), False), ("1.15.0", (1, 15, 0), True), ("7.0.5+gitea-1.22.0", (1, 22, 0), True),
     ("15.0.1+gitea-1.22.0", (1, 22, 0), True), ("15.0.2+gitea-1.22.0", (1, 22, 0), False),
     ("1.21.0+dev-12-gabcdef", (1, 21, 0), True)],
)  # fmt: skip
def test_a_server_is_known_by_its_version(
    server: GiteaDouble, forge: GiteaForge, name: str, version: tuple[int, int, int], is_warned: bool
) -> None:
    server.version = name

    forge.ping()

    assert parse_version(name) == forge.features.version == version
    assert (forge.features.warning is not None) == is_warned


@pytest.mark.parametrize("name", ["1.14.7", "nonsense"])
def test_a_server_that_is_too_old_is_refused(server: GiteaDouble, forge: GiteaForge, name: str) -> None:
    server.version = name

    with pytest.raises(ProviderUnavailable, match="too old"):
        forge.ping()


def test_a_server_that_does_not_show_what_was_made_is_named(server: GiteaDouble, forge: GiteaForge) -> None:
    # As where everybody needs a second factor: who has none makes a repository and may not see it (Gitea 1.27).
    server.faults += [Fault("GET /api/v1/repos/aiworker/shop$", "unknown", nth=nth) for nth in (3, 3)]

    with pytest.raises(ProviderUnavailable, match=r"does not show the new repository aiworker/shop .*TWO_FACTOR"):
        make(forge)

    assert make(forge)


def test_a_lost_merge_is_found_again(server: GiteaDouble, forge: GiteaForge, work: WorkTree) -> None:
    commit, head = pushed(work), forge.read_head(SHOP, "main") or ""
    server.faults.append(Fault("git-receive-pack", "reset"))

    merged = again(lambda: forge.merge(SHOP, into="main", commit=commit, expected_head=head, message="M"))

    assert merged == Merged(forge.read_head(SHOP, "main") or "")
