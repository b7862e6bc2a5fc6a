"""What people do on Gitea, and how tasks follow: by polling alone, so that a lost webhook changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.jobs.catalogue import WATCH_REPOSITORY, Lease
from common.models import TaskGroup
from common.providers.forge import forge
from common.services.projects import projects
from common.services.tasks import forge_changes, tasks
from common.settings import settings
from common.transaction import Transaction, transactional
from common.values.delivery.pull_request import PullReview
from tests.doubles.gitea.pulls import add_review, change_pull
from tests.workers.jobs.shop_on_gitea import PULL, Shop, prove, shop_on_gitea
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


@transactional
def _begun_watch(tx: Transaction, project_id: str) -> Lease:
    lease = tx.queue.claim(tx.enqueue(WATCH_REPOSITORY, project_id, project_id=project_id))
    assert lease is not None
    return lease


@pytest.fixture
def shop(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with shop_on_gitea(platform, tmp_path, monkeypatch) as made:
        yield made


def test_a_project_is_protected_and_rings(shop: Shop) -> None:
    assert sorted(shop.repo.rules) == ["main", "release", "release/**", "staging", "staging/**"]
    assert [hook["config"]["url"] for hook in shop.repo.hooks] == [settings().forge.webhook_url]


@pytest.mark.parametrize("heard", ["webhook", "poll"])
def test_a_push_to_a_member_of_a_group_takes_it_out_before_staging(shop: Shop, heard: str) -> None:
    group = shop.merged_group()
    pushed = shop.push("b")

    shop.look(heard)

    assert (shop.task.state, shop.task.approved_sha) == ("in_progress", None)
    group = shop.platform.get(TaskGroup, group.id)
    assert (group.state, [problem["kind"] for problem in group.problems]) == ("conflict", ["pushed"])
    assert pushed in group.problems[0]["detail"]


def test_what_is_merged_by_a_person_is_approved(shop: Shop) -> None:
    shop.repo.pulls[PULL].update(state="closed", merged=True, merge_commit_sha=shop.head)

    for _ in range(2):
        shop.poll()

    assert (shop.task.state, shop.task.approved_sha) == ("approved", shop.head)


def test_what_is_merged_into_another_branch_is_not_approved(shop: Shop) -> None:
    # Whoever may write the repository can do so, also the user of an agent's run: no rule protects that branch.
    shop.work.commit({"b": "b"}, on="anything", start="main")
    shop.work.push("anything")
    change_pull(shop.server.as_person(shop.ada, {"base": "anything"}), shop.repo, str(PULL))
    shop.repo.pulls[PULL].update(state="closed", merged=True, merge_commit_sha=shop.head)

    for _ in range(2):
        shop.poll()

    assert (shop.task.state, shop.task.approved_sha) == ("ready_to_test", None)


def test_who_merges_their_own_work_approves_nothing_where_another_has_to(shop: Shop) -> None:
    projects.update_project(shop.project.id, {"separate_approver": True}, by=shop.platform.max)
    shop.repo.pulls[PULL].update(state="closed", merged=True, merge_commit_sha=shop.head)

    shop.poll()

    assert (shop.task.state, shop.task.approved_sha) == ("ready_to_test", None)


def test_what_is_closed_by_a_person_is_cancelled(shop: Shop) -> None:
    tasks.approve_task(shop.task_id, by=shop.platform.max)
    change_pull(shop.server.as_person(shop.ada, {"state": "closed"}), shop.repo, str(PULL))

    for _ in range(2):
        shop.poll()

    assert shop.task.state == "cancelled"


def _closed_by_an_agent(shop: Shop) -> None:
    made = forge().ensure_credential(shop.where, branch="aiworker/another", run_id="run-1")
    agent = shop.server.model.users[made.username]
    change_pull(shop.server.as_person(agent, {"state": "closed"}), shop.repo, str(PULL))


def test_what_an_agent_closes_is_opened_again(shop: Shop) -> None:
    """Any run's user may close it, and people look for proven work among the open ones."""
    _closed_by_an_agent(shop)

    for _ in range(2):
        shop.poll()

    assert (shop.task.state, shop.repo.pulls[PULL]["state"]) == ("ready_to_test", "open")
    assert [event["login"] for event in shop.repo.events if event["type"] == "reopen"] == ["platform"]


def test_what_was_read_before_the_newest_proof_says_nothing_of_it(shop: Shop) -> None:
    change_pull(shop.server.as_person(shop.ada, {"state": "closed"}), shop.repo, str(PULL))
    lease = _begun_watch(shop.project.id)
    plan = forge_changes.begin_watch(lease)
    assert plan is not None
    heads = {branch: forge().read_head(shop.where, branch) for branch in plan.branches}
    pull = forge().read_pull_request(shop.where, PULL)
    assert pull is not None
    newest = shop.push("b")
    change_pull(shop.server.as_person(shop.ada, {"state": "open"}), shop.repo, str(PULL))
    prove(shop.task_id, newest)

    forge_changes.record_heads(lease, plan, heads, {PULL: PullReview(pull)})

    assert (shop.task.state, shop.task.head_sha) == ("ready_to_test", newest)
    # It is looked at again by itself.
    shop.push("c")
    shop.platform.run_jobs(until=lambda: shop.task.state == "in_progress")


def test_a_comment_is_the_agents_once(shop: Shop) -> None:
    shop.server.comment(shop.ada, shop.repo, PULL, "Nice")

    for _ in range(3):
        shop.poll()

    assert (shop.task.state, shop.remarks()) == ("ready_to_test", [("comment", "ada", "Nice", None)])


def test_a_review_that_asks_for_changes_sends_the_task_back_once(shop: Shop) -> None:
    remark = {"path": "a", "position": 1, "body": "Why?"}
    add_review(
        shop.server.as_person(shop.ada), shop.repo, PULL, state="REQUEST_CHANGES", body="Not yet", remarks=[remark]
    )

    for _ in range(2):
        shop.poll()

    assert (shop.task.state, shop.task.round) == ("in_progress", 2)
    assert sorted(shop.remarks()) == [("rejection", "ada", "Not yet", None), ("rejection", "ada", "Why?", "a")]
