"""Pictures on Gitea's pull requests: one comment with its files, whatever is lost on the way."""

from __future__ import annotations

import pytest

from common.errors import ProviderUnavailable
from common.providers.forge.gitea import GiteaForge
from common.values.delivery.pull_request import PullPicture
from tests.doubles.gitea import Fault, GiteaDouble
from tests.png import solid
from tests.providers.git_work_tree import WorkTree
from tests.providers.gitea_fixtures import SHOP, forge, head, pushed, server, work

__all__ = ["forge", "head", "server", "work"]

GREEN, RED = solid(4, 3, (0, 128, 0)), solid(4, 3, (255, 0, 0))
BOTH = (PullPicture("before.png", "Before", RED), PullPicture("after.png", "After", GREEN))


def show(forge: GiteaForge, version: str = "abc", pictures: tuple[PullPicture, ...] = BOTH) -> None:
    forge.ensure_pictures(SHOP, 1, head="task-1", version=version, body="The preview.", pictures=pictures)


@pytest.fixture
def pull(forge: GiteaForge, work: WorkTree) -> None:
    """The shop has one pull request."""
    pushed(work)
    forge.ensure_pull_request(SHOP, head="task-1", base="main", title="A", body="")


@pytest.mark.slow
def test_pictures_of_a_version_are_sent_once_and_replace_those_of_another(
    server: GiteaDouble, forge: GiteaForge, pull: None
) -> None:
    repo, posted = server.repo("aiworker", "shop"), "POST /repos/aiworker/shop/issues/1/comments"
    for _ in range(2):
        show(forge)
        assert (len(repo.comments), server.effects[posted]) == (1, 1)

    show(forge, "def", BOTH[1:])
    assert [one["body"].count("![") for one in repo.comments] == [1]
    assert repo.comments[0]["body"].endswith("<!-- aiworker:pictures:def -->")

    for _ in range(2):
        show(forge, "none", ())
        assert repo.comments == []


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["POST .*/assets$", "PATCH .*/comments/"])
def test_a_lost_answer_leaves_one_comment_after_the_next_try(
    server: GiteaDouble, forge: GiteaForge, pull: None, lost: str
) -> None:
    show(forge, "old")
    server.faults.append(Fault(lost, "apply_then_500"))
    with pytest.raises(ProviderUnavailable):
        show(forge)

    show(forge)

    (comment,) = server.repo("aiworker", "shop").comments
    assert comment["body"].count("![") == len(comment["assets"]) == 2
    assert forge.read_comments(SHOP, 1) == []
