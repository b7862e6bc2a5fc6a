"""A review by another agent on the page: where it is asked for, and how its verdict and its run are shown."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.models import Project, Task, TaskCheck
from common.transaction import Transaction, transactional
from tests.web.api.test_agent_reviews import Review
from tests.web.api.test_overruled_reviews import refused
from tests.web.page_reader import PageReader
from tests.web.world import SHA, World, get

pytestmark = pytest.mark.slow


@transactional
def _check(tx: Transaction, task_id: str, run_id: str, message: str) -> None:
    tx.add(
        TaskCheck(
            task_id=task_id, run_id=run_id, commit_sha=SHA, name="agent_review", status="passed",
            code="review_requests_changes", message=message, log="Wrong.", at=tx.now(), facts={},
        )
    )  # fmt: skip


def test_a_maintainer_asks_for_a_review_and_ends_it_again(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    reader.open(f"#/projects/{project.id}/settings")
    mode = reader.see("project-agent-review")
    expect(mode).to_have_value("")
    mode.select_option("blocking")
    reader.see("project-review-driver").fill("codex")
    reader.page.locator('[name="agentReview.maxMinutes"]').fill("10")
    reader.see("project-save").click()
    expect(reader.page.get_by_text("Saved.")).to_be_visible()
    wanted = {"mode": "blocking", "driver": "codex", "model": None, "limits": {"maxMinutes": 10}}
    assert get(Project, project.id).agent_review == wanted

    reader.page.reload()
    expect(reader.see("project-review-driver")).to_have_value("codex")
    mode.select_option("")
    reader.see("project-save").click()
    expect(reader.page.get_by_text("Saved.")).to_be_visible()
    assert get(Project, project.id).agent_review is None


def test_the_verdict_is_a_line_of_the_proof_and_its_run_is_marked(reader: PageReader, plain_world: World) -> None:
    review = Review(plain_world)
    said = {"verdict": "request_changes", "summary": "Wrong.", "comments": [{"path": "a", "line": 2, "body": "No."}]}
    assert review.post(**said).status_code == 200
    _check(review.task_id, review.claim["run"]["id"], "Reviewed by scripted: requests changes: Wrong.")
    path = f"#/projects/{review.project.id}/tasks/{review.task_id}"
    reader.open(path)
    expect(reader.see("task-check-line")).to_contain_text("Reviewed by scripted: requests changes: Wrong.")
    expect(reader.page.get_by_text("scripted (review)").first).to_be_visible()

    reader.open(f"{path}/details")
    expect(reader.see("review-mark").first).to_have_text("Review: requests changes")


def test_a_maintainer_goes_on_without_a_review_and_says_why(reader: PageReader, plain_world: World) -> None:
    task = refused(plain_world)
    reader.open(f"#/projects/{task.project_id}/tasks/{task.id}")
    reader.see("task-check-line").get_by_test_id("overrule-review").click()
    expect(reader.see("overrule-confirm")).to_be_disabled()
    reader.see("overrule-reason").fill("It greets as agreed")
    reader.see("overrule-confirm").click()

    expect(reader.page.get_by_text("The commit goes on without this review.")).to_be_visible()
    expect(reader.see("overrule-review")).to_have_count(0)
    said = f"{plain_world.max.username} went on without this review: It greets as agreed"
    expect(reader.see("task-check-line")).to_contain_text(said)
    assert (get(Task, task.id).phase, get(Task, task.id).round) == ("verifying", 1)
