"""An agent only claims: each way of not telling the truth has its code, and the honest run passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from common.jobs.catalogue import VERIFY_RUN
from common.models import Comment, Job, Project, Question, Run, Task, TaskCheck
from common.providers.forge import local_forge
from common.providers.runtime import runtime
from common.services.proof.verification import check_of_claim
from common.services.tasks import tasks
from common.values.runs.claimed_run import ClaimedRun
from tests.attacks.bombs import tree_bomb
from tests.providers.git_work_tree import git
from tests.workers.platform import Platform
from workers.proof.forge.forge_checks import is_test_file

FILES = {
    "index.html": "<h1>first</h1>\n",
    "shared.txt": "one\n",
    "tests/test_page.py": "def test_page():\n    assert True\n\n\ndef test_more():\n    assert True\n",
}
TESTS = "test -f index.html && ! grep -q broken index.html"

Lie = Callable[[Platform, ClaimedRun], str | None]


def _uncommitted(platform: Platform, claimed: ClaimedRun) -> str | None:
    """The work lies in the agent's folder only; what it names is where the branch began."""
    return _head(platform, claimed, claimed.task.branch_name)


def _unpushed(platform: Platform, claimed: ClaimedRun) -> str | None:
    tree = platform.clone(claimed.project)
    return tree.commit({"index.html": "<h1>kept to myself</h1>\n"}, on=claimed.task.branch_name)


def _red_tests(platform: Platform, claimed: ClaimedRun) -> str | None:
    return platform.push(claimed, {"index.html": "broken\n"})


def _deleted_tests(platform: Platform, claimed: ClaimedRun) -> str | None:
    return platform.push(claimed, {"index.html": "<h1>x</h1>\n", "tests/test_page.py": None})


def _fewer_tests(platform: Platform, claimed: ClaimedRun) -> str | None:
    return platform.push(claimed, {"tests/test_page.py": "def test_page():\n    assert True\n"})


def _stale_base(platform: Platform, claimed: ClaimedRun) -> str | None:
    sha = platform.push(claimed, {"shared.txt": "mine\n"})
    tree = platform.clone(claimed.project)
    tree.commit({"shared.txt": "theirs\n"}, on="main")
    tree.push("main")
    return sha


def _another_commit(platform: Platform, claimed: ClaimedRun) -> str | None:
    """The work is pushed, but what it names is the default branch's head."""
    platform.push(claimed, {"index.html": "<h1>x</h1>\n"})
    return _head(platform, claimed, "main")


def _forbidden_path(platform: Platform, claimed: ClaimedRun) -> str | None:
    return platform.push(claimed, {".github/workflows/build.yml": "on: push\n"})


def _repository_within(platform: Platform, claimed: ClaimedRun) -> str | None:
    """The files are only in a repository that the agent made within its folder."""
    tree = platform.clone(claimed.project)
    branch = claimed.task.branch_name
    git("checkout", "--quiet", "-B", branch, f"origin/{branch}", at=tree.path)
    git("update-index", "--add", "--cacheinfo", f"160000,{'8a' * 20},app", at=tree.path)
    git("commit", "--quiet", "--message", "Done", at=tree.path)
    tree.push(branch)
    return git("rev-parse", "HEAD", at=tree.path).strip()


def _bomb(platform: Platform, claimed: ClaimedRun) -> str | None:
    """A few objects that stand for 10^10 files, past the check of pushes: as on a server that makes none."""
    tree = platform.clone(claimed.project)
    sha = tree_bomb(tree.path, parent=f"origin/{claimed.task.branch_name}")
    tree.push(f"{sha}:refs/heads/{claimed.task.branch_name}")
    return sha


def _no_commit(platform: Platform, claimed: ClaimedRun) -> str | None:
    return None


def _head(platform: Platform, claimed: ClaimedRun, branch: str) -> str | None:
    return local_forge().read_head(platform.repository(claimed.project.id), branch)


LIES = [
    (_uncommitted, "empty_diff"),
    (_unpushed, "not_pushed"),
    (_red_tests, "tests_failed"),
    (_deleted_tests, "tests_deleted"),
    (_fewer_tests, "tests_deleted"),
    (_stale_base, "conflicts"),
    (_another_commit, "not_head"),
    (_forbidden_path, "forbidden_paths"),
    (_no_commit, "no_commit"),
    (_repository_within, "unnamed_submodules"),
    (_bomb, "too_large"),
]


@pytest.mark.parametrize(("lie", "code"), LIES, ids=[lie.__name__.strip("_") for lie, _code in LIES])
def test_a_lie_is_refused_with_its_code(platform: Platform, lie: Lie, code: str) -> None:
    project = platform.project(FILES, test_command=TESTS)
    task = platform.task(project)
    claimed = platform.claim()
    platform.finish(claimed, lie(platform, claimed))
    platform.run_jobs()

    refused = platform.get(Task, task.id)
    assert (refused.state, refused.round, refused.head_sha) == ("in_progress", 2, None)
    checks = platform.all(TaskCheck, TaskCheck.task_id == task.id, TaskCheck.status == "failed")
    assert [check.code for check in checks] == [code]


def test_an_honest_run_after_a_refusal_passes_and_feedback_is_delivered_once(platform: Platform) -> None:
    project = platform.project(FILES, test_command=TESTS)
    task = platform.task(project)
    claimed = platform.claim()
    platform.finish(claimed, _red_tests(platform, claimed))
    platform.run_jobs()
    second = platform.claim()
    (refusal,) = second.feedback
    assert (refusal.kind, refusal.body.startswith("tests_failed: ")) == ("refusal", True)
    platform.finish(second, platform.push(second, {"index.html": "broken again\n"}))
    platform.run_jobs()

    third = platform.claim()
    assert len(third.feedback) == 1
    comments = platform.all(Comment, Comment.task_id == task.id)
    assert sorted(comment.delivered_run_id for comment in comments) == sorted([second.run.id, third.run.id])
    sha = platform.push(third, {"index.html": "<h1>honest</h1>\n"})
    platform.finish(third, sha)
    platform.run_jobs()
    proven = platform.get(Task, task.id)
    assert (proven.state, proven.head_sha) == ("ready_to_test", sha)
    (diff,) = platform.all(TaskCheck, TaskCheck.run_id == third.run.id, TaskCheck.name == "diff")
    assert (diff.log, diff.output) == ("index.html", None)


def test_a_push_after_the_approval_voids_it(platform: Platform) -> None:
    project = platform.project(FILES)
    task = platform.approved(project, "Page", {"index.html": "<h1>x</h1>\n"})
    tree = platform.clone(platform.get(Project, project.id))
    tree.commit({"index.html": "<h1>sneaked in</h1>\n"}, on=task.branch_name, start=f"origin/{task.branch_name}")
    tree.push(task.branch_name)
    platform.poll_repository(project)
    voided = platform.get(Task, task.id)
    assert (voided.state, voided.approved_sha, voided.round) == ("in_progress", None, 2)


@pytest.mark.slow
def test_a_proof_that_could_not_be_made_is_asked_about_each_time(platform: Platform) -> None:
    project = platform.project(FILES)
    task = platform.task(project)
    for number in range(2):
        claimed = platform.claim()
        platform.finish(claimed, platform.push(claimed, {"index.html": f"{number}\n"}))
        with platform.without_repository(project):
            platform.run_jobs()

        assert platform.get(Task, task.id).state == "needs_input"
        (question,) = platform.all(Question, Question.task_id == task.id, Question.state == "pending")
        assert question.question.startswith("The platform could not verify the work: ")
        platform.answer(question, "The repository is back")
    texts = [question.question for question in platform.all(Question, Question.task_id == task.id)]
    assert (len(texts), len(set(texts))) == (2, 1)


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("tests/test_a.py", True), ("src/a_test.go", True), ("src/a.spec.ts", True), ("a.test.js", True),
        ("src/__tests__/x.js", True), ("Tests/data/check.sh", True),
        ("pkg/FooTest.java", True), ("src/contest.py", False), ("latest.txt", False),
        ("src/testing.py", False), ("index.html", False),
    ],
)  # fmt: skip
def test_test_files_are_known_by_custom(path: str, is_one: bool) -> None:
    assert is_test_file(path) is is_one


def test_the_tests_of_a_cancelled_task_are_stopped(platform: Platform) -> None:
    """They would take the place of others for 15 minutes."""
    project = platform.project(FILES, test_command="sleep 600")
    task = platform.task(project)
    claimed = platform.claim()
    platform.finish(claimed, platform.push(claimed, {"index.html": "x\n"}))

    def are_running() -> bool:
        of = (platform.get(Project, project.id), platform.get(Task, task.id), platform.get(Run, claimed.run.id))
        check = check_of_claim(*of)
        return check is not None and runtime().read_check(check.space, check.check_id) is not None

    platform.run_jobs(until=are_running)
    tasks.cancel_task(task.id, by=platform.max)
    platform.run_jobs()

    (job,) = platform.all(Job, Job.kind == VERIFY_RUN.name, Job.subject_id == claimed.run.id)
    assert (are_running(), job.state) == (False, "done")
