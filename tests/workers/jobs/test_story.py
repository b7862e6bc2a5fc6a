"""A task's whole way by jobs alone: prepared, proven, published, approved, merged, staged, delivered, taken back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from common.models import Deployment, Question, Task
from common.providers.forge import local_forge
from common.services.agent_api import agent_api
from common.services.deployment import deployments
from common.services.tasks import tasks
from common.values.delivery.pull_request import PullState
from common.values.states import Outcome
from tests.providers.git_work_tree import git
from tests.providers.runtime_supervisor import get
from tests.workers.platform import Platform


@pytest.fixture
def platform(platform_on: Callable[[str], Platform], database_url: str) -> Platform:
    """Once on SQLite and once on MariaDB."""
    return platform_on(database_url)


def test_a_task_goes_from_the_backlog_to_production_and_back(platform: Platform) -> None:
    project = platform.project(test_command="grep -q '<h1>' index.html", health_contains="<h1>")
    first = platform.approved(project, "First page", {"index.html": "<h1>second</h1>\n"})
    assert get(first.preview_url)[1] == "<h1>second</h1>\n"

    group = platform.staged(first, notes="Sprint 1 features")
    assert (group.state, group.branch) == ("staging", "release/sprint-1")
    assert platform.get(Task, first.id).state == "staging"

    group = platform.to_production(group)
    assert group.state == "production"
    task = platform.get(Task, first.id)
    assert (task.state, task.preview_url) == ("production", None)
    repository = platform.repository(project.id)
    assert local_forge().read_head(repository, "main") == group.tested_sha
    path = local_forge().repository_path(repository)
    assert git("rev-parse", "refs/tags/released/sprint-1", at=path) == group.tested_sha
    assert local_forge().read_pull_request(repository, task.pr_number).state is PullState.MERGED

    second = platform.approved(project, "Second page", {"index.html": "<h1>third</h1>\n"})
    platform.to_production(platform.staged(second))
    live = platform.all(Deployment, Deployment.live_key == f"{project.id}:production")[0]
    assert get(live.url)[1] == "<h1>third</h1>\n"
    assert deployments.version_of(live).spec.health.contains == "<h1>"

    back = platform.rollback(live.id)
    assert (back.state, back.rollback_of, back.commit_sha) == ("completed", live.id, group.tested_sha)
    assert platform.get(Deployment, live.id).state == "rolled_back"
    assert get(back.url)[1] == "<h1>second</h1>\n"
    assert "deploy:completed" in platform.events(project)


def test_a_question_is_answered_while_the_agent_waits_elsewhere(platform: Platform) -> None:
    project = platform.project()
    task = platform.task(project)
    claimed = platform.claim()

    question, is_new = agent_api.ask_question(claimed.run.id, "Which colour?", context=None, options=["red", "blue"])
    same, is_new_again = agent_api.ask_question(claimed.run.id, "Which colour?", context=None, options=["red", "blue"])
    assert (is_new, is_new_again, same.id) == (True, False, question.id)
    assert platform.get(Task, task.id).state == "needs_input"

    platform.finish(claimed, None, Outcome.WAITING)
    platform.run_jobs()
    assert platform.get(Task, task.id).state == "needs_input"
    platform.answer(platform.get(Question, question.id), "blue")

    again = platform.claim()
    assert again.task.id == task.id
    assert again.run.round == 1
    assert any("blue" in item.body for item in again.feedback)


def test_a_rejection_brings_the_task_back_to_an_agent_with_its_comments(platform: Platform) -> None:
    project = platform.project()
    task = platform.ready(project, "Page", {"index.html": "<h1>wrong</h1>\n"})
    comment = tasks.NewComment("Say hello", path="index.html", line=1)
    tasks.reject_task(task.id, reason="Not friendly", comments=[comment], by=platform.max)

    claimed = platform.claim()
    assert (claimed.run.round, claimed.task.branch_name) == (2, task.branch_name)
    rejection = claimed.feedback[0]
    assert (rejection.kind, rejection.body, rejection.comments[0].line) == ("rejection", "Not friendly", 1)

    platform.finish(claimed, platform.push(claimed, {"index.html": "<h1>hello</h1>\n"}))
    platform.run_jobs()
    done = platform.get(Task, task.id)
    assert (done.state, done.pr_number) == ("ready_to_test", task.pr_number)
    assert get(done.preview_url)[1] == "<h1>hello</h1>\n"


def test_red_tests_send_the_work_back_and_three_refusals_ask_a_person(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project(test_command="grep -q '<h1>' index.html")
    task = platform.task(project)
    for attempt in range(3):
        claimed = platform.claim()
        assert claimed.run.round == attempt + 1
        platform.finish(claimed, platform.push(claimed, {"index.html": f"none {attempt}\n"}))
        platform.run_jobs()
    task = platform.get(Task, task.id)
    assert task.state == "needs_input"
    question = platform.all(Question, Question.task_id == task.id)[0]
    assert "refused 3 times" in question.question
    platform.answer(question, "Use a heading")
    claimed = platform.claim()
    assert "tests_failed" in " ".join(item.body for item in claimed.feedback)
