"""What the forge makes of a Gitea server's answers: foreign repositories, merges, comments, users of runs, versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.forge.gitea import GiteaForge
from common.providers.forge.gitea.features import parse_version
from common.values.delivery.pull_request import PullComment, PullState
from tests.doubles.gitea import GiteaDouble, basic
from tests.doubles.gitea.pulls import add_review, change_pull
from tests.providers.forge_contract import refused
from tests.providers.git_work_tree import WorkTree
from tests.providers.gitea_fixtures import SHOP, forge, forge_on, head, make, pushed, server, work

__all__ = ["forge", "head", "server", "work"]


@pytest.mark.parametrize("description", ["A shop", "(AiWorker project project-12)"])
def test_a_repository_without_our_mark_is_foreign(server: GiteaDouble, forge: GiteaForge, description: str) -> None:
    server.model.organisations.add("aiworker")
    server.model.add_repo("aiworker", "shop", {"description": description, "default_branch": "main"})

    for verb in (lambda: make(forge), lambda: forge.delete_repository(SHOP), lambda: forge.ensure_webhook(SHOP)):
        with refused("foreign"):
            verb()
    assert ("aiworker", "shop") in server.model.repos


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.15.0", "1.26.2"])
def test_who_closed_a_pull_request_is_read_where_the_server_says_so(tmp_path: Path, version: str) -> None:
    server = GiteaDouble(tmp_path, version=version)
    forge = forge_on(server, tmp_path)
    make(forge)
    ada = server.person("ada", writes=("aiworker", "shop"))
    pushed(WorkTree(tmp_path / "work", basic(forge.read_clone_url(SHOP), ada.login, ada.password)))
    forge.ensure_pull_request(SHOP, head="task-1", base="main", title="A", body="")
    credential = forge.ensure_credential(SHOP, branch="task-1", run_id="r")
    repo, agent = server.repo("aiworker", "shop"), server.model.users[credential.username]

    seen = []
    for user in (agent, ada, agent):
        change_pull(server.as_person(user, {"state": "closed"}), repo, "1")
        for _ in range(60):
            server.comment(agent, repo, 1, "Said after that")
        pull = forge.read_pull_request(SHOP, 1)
        assert pull is not None
        seen.append((pull.state, pull.is_closed_by_run))
        change_pull(server.as_person(ada, {"state": "open"}), repo, "1")

    is_told = version != "1.15.0"
    assert seen == [(PullState.CLOSED, is_told), (PullState.CLOSED, False), (PullState.CLOSED, is_told)]
    forge.close()
    server.close()
    assert server.violations == []


def test_a_repository_that_was_renamed_or_moved_is_told_with_the_remedy(
    server: GiteaDouble, forge: GiteaForge, head: str
) -> None:
    repo = server.model.repos.pop(("aiworker", "shop"))
    server.model.repos["aiworker", "store"] = repo
    server.model.moved.add("aiworker/shop")

    with pytest.raises(ProviderRefused, match="aiworker/shop was renamed or moved") as refusal:
        forge.read_head(SHOP, "main")
    assert refusal.value.code == "no_repository"

    server.model.repos["aiworker", "shop"] = server.model.repos.pop(("aiworker", "store"))
    assert forge.read_head(SHOP, "main") == head


@pytest.mark.parametrize(
    ("name", "version", "is_warned"),
    [("1.26.2", (1, 26, 2), False), ("1.15.0", (1, 15, 0), True), ("7.0.5+gitea-1.22.0", (1, 22, 0), True)],
)
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
