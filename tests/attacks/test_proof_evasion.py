"""Ways to get work past the proof that it should have refused: the patch's text, forbidden paths, foreign history."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from common.models import Task, TaskCheck, TaskGroup
from common.services.tasks import tasks
from common.values.runs.claimed_run import ClaimedRun
from tests.providers.git_work_tree import WorkTree, git
from tests.workers.platform import Platform

TWO_TESTS = "def test_one():\n    assert True\n\n\ndef test_two():\n    assert True\n"
ONE_TEST = "def test_one():\n    assert True\n"
FILES = {"index.html": "<h1>first</h1>\n", "tests/test_page.py": TWO_TESTS, "readme": "read me\n"}

Evade = Callable[[WorkTree], None]


def verdicts(platform: Platform, *evasions: Evade, **project: object) -> list[tuple[str, list[str | None]]]:
    """For each, the state of a task whose branch was made by it, and the codes of the checks that failed."""
    made, found = platform.project(FILES, **project), []
    for evade in evasions:
        task = platform.task(made)
        claimed = platform.claim()
        platform.finish(claimed, push(platform, claimed, evade))
        platform.run_jobs()
        failed = platform.all(TaskCheck, TaskCheck.task_id == task.id, TaskCheck.status == "failed")
        found.append((platform.get(Task, task.id).state, [check.code for check in failed]))
        tasks.cancel_task(task.id, by=platform.max)
    return found


def push(platform: Platform, claimed: ClaimedRun, evade: Evade) -> str:
    tree, branch = platform.clone(claimed.project), claimed.task.branch_name
    git("checkout", "--quiet", "-B", branch, f"origin/{branch}", at=tree.path)
    evade(tree)
    git("add", "--all", at=tree.path)
    git("commit", "--quiet", "--allow-empty", "--message", "Evade", at=tree.path)
    tree.push(f"+HEAD:{branch}")
    return git("rev-parse", "HEAD", at=tree.path)


def write(tree: WorkTree, name: str, text: str) -> None:
    place = tree.path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


# Tests that are deleted


def _padded(tree: WorkTree) -> None:
    """A file that comes first fills the patch, which was cut at 2 MB before the tests came."""
    write(tree, "aaa.txt", "padding of the patch\n" * 150_000)
    write(tree, "tests/test_page.py", ONE_TEST)


def _fake_header(tree: WorkTree) -> None:
    """An added line that reads `+++ b/readme` in the patch, before the test that goes."""
    write(tree, "tests/test_page.py", "++ b/readme\n" + ONE_TEST)


def _binary(tree: WorkTree) -> None:
    """A patch shows nothing of a binary file."""
    write(tree, "tests/test_page.py", ONE_TEST + "# \0\n")


def _replaced_by_a_link(tree: WorkTree) -> None:
    write(tree, "elsewhere.py", TWO_TESTS)
    (tree.path / "tests/test_page.py").unlink()
    (tree.path / "tests/test_page.py").symlink_to("../elsewhere.py")


@pytest.mark.slow
def test_a_deleted_test_is_found_whatever_the_patch_looks_like(plain_platform: Platform) -> None:
    evasions = (_padded, _fake_header, _binary, _replaced_by_a_link)

    assert verdicts(plain_platform, *evasions) == [("in_progress", ["tests_deleted"])] * len(evasions)


# What others did


@pytest.mark.slow
def test_a_merge_that_takes_back_what_no_test_covers_is_refused(plain_platform: Platform) -> None:
    project = plain_platform.project(FILES)
    task = plain_platform.task(project)
    claimed = plain_platform.claim()
    tree, branch = plain_platform.clone(claimed.project), claimed.task.branch_name
    tree.commit({"readme": "read them\n", "price": "12\n"}, on="main")
    tree.push("main")
    git("checkout", "--quiet", "-B", branch, f"origin/{branch}", at=tree.path)
    tree.commit({"index.html": "<h1>mine</h1>\n"}, on=branch)
    git("merge", "--quiet", "--strategy=ours", "--message=Merge main", "main", at=tree.path)
    sha = git("rev-parse", "HEAD", at=tree.path)
    tree.push(branch)
    plain_platform.finish(claimed, sha)
    plain_platform.run_jobs()

    (check,) = plain_platform.all(TaskCheck, TaskCheck.task_id == task.id, TaskCheck.status == "failed")
    assert (check.name, check.code) == ("merge", "takes_back")
    assert check.message == "A merge in it takes back what main changed: price, readme: take these from main again."


class Stacked:
    """A task whose branch starts after a change of main, and merges the branch of another task that started before it
    and is in production when the work is claimed: main and the branch have two merge bases."""

    def __init__(self, platform: Platform, own: Mapping[str, str | None]) -> None:
        project = platform.project(FILES, forbidden_paths=["ci/"])
        one = platform.task(project, "One")
        claimed = platform.claim()
        tree = platform.clone(project)
        tree.commit({"ci/deploy": "check, then deploy\n", "tests/test_ci.py": ONE_TEST}, on="main")
        tree.push("main")
        platform.finish(claimed, platform.push(claimed, {"price": "12\n"}))
        platform.run_jobs()
        tasks.approve_task(one.id, by=platform.max)
        self.platform, self.task = platform, platform.task(project, "Two", depends_on=[one.id])
        claimed = platform.claim()
        self.tree, self.branch = platform.clone(project), claimed.task.branch_name
        git("checkout", "--quiet", "-B", self.branch, f"origin/{self.branch}", at=self.tree.path)
        self.tree.commit(own, on=self.branch)
        git("merge", "--quiet", "--no-edit", f"origin/{one.branch_name}", at=self.tree.path)
        platform.to_production(platform.staged(one))
        self.claim(claimed)

    def claim(self, claimed: ClaimedRun) -> None:
        self.tree.push(self.branch)
        self.platform.finish(claimed, git("rev-parse", "HEAD", at=self.tree.path))
        self.platform.run_jobs()

    def merge_main(self) -> None:
        """The agent does what it is told."""
        claimed = self.platform.claim()
        git("fetch", "--quiet", "origin", at=self.tree.path)
        git("merge", "--quiet", "--no-edit", "origin/main", at=self.tree.path)
        self.claim(claimed)

    def verdict(self) -> tuple[str, list[str | None], list[str | None]]:
        """The task's state, and the codes and messages of the checks that failed of the last run with a claim."""
        claims = [run for run in self.platform.runs(self.task) if run.claimed_sha]
        run = max(claims, key=lambda run: run.created_at)
        failed = self.platform.all(TaskCheck, TaskCheck.run_id == run.id, TaskCheck.status == "failed")
        state = self.platform.get(Task, self.task.id).state
        return state, [check.code for check in failed], [check.message for check in failed]


MERGE_MAIN = (
    "It was made from several commits of main, so what it changes can't be compared with one of them: "
    "merge main into the branch."
)


@pytest.mark.slow
def test_what_is_taken_back_beside_merged_work_of_another_task_is_seen(plain_platform: Platform) -> None:
    stacked = Stacked(plain_platform, {"ci/deploy": "deploy\n", "tests/test_ci.py": None, "mine": "mine\n"})
    assert stacked.verdict() == ("in_progress", ["several_bases"], [MERGE_MAIN])

    stacked.merge_main()

    assert stacked.verdict()[:2] == ("in_progress", ["forbidden_paths"])


class Undoing:
    """An approved task, One, and another that merged its branch and keeps nothing of it, which a comparison with main
    does not show."""

    def __init__(self, platform: Platform, undo: Evade) -> None:
        project = platform.project(FILES)
        self.platform, self.one = platform, platform.approved(project, "One", {"price": "12\n"})
        self.two = platform.task(project, "Two", depends_on=[self.one.id])
        claimed = platform.claim()
        self.tree, self.branch = platform.clone(project), claimed.task.branch_name
        git("checkout", "--quiet", "-B", self.branch, f"origin/{self.branch}", at=self.tree.path)
        self.tree.commit({"mine": "mine\n"}, on=self.branch)
        git("branch", "one", f"origin/{self.one.branch_name}", at=self.tree.path)
        undo(self.tree)
        self.claim(claimed)
        platform.run_jobs()
        self.two = tasks.approve_task(self.two.id, by=platform.max)

    def claim(self, claimed: ClaimedRun) -> None:
        self.tree.push(self.branch)
        self.platform.finish(claimed, git("rev-parse", "HEAD", at=self.tree.path))


def _revert_it(tree: WorkTree) -> None:
    git("merge", "--quiet", "--no-edit", "one", at=tree.path)
    git("rm", "--quiet", "price", at=tree.path)
    git("commit", "--quiet", "--message", "Tidy up", at=tree.path)


def _problems(group: TaskGroup) -> list[tuple[str, str, list[str]]]:
    return [(problem["taskId"], problem["kind"], problem["files"]) for problem in group.problems]


@pytest.mark.slow
def test_a_group_hands_back_who_takes_back_the_work_of_a_task_before(plain_platform: Platform) -> None:
    about = Undoing(plain_platform, _revert_it)

    group = plain_platform.staged(about.one, about.two)

    assert (group.state, _problems(group)) == ("staging", [(about.two.id, "takes_back", ["price"])])
    assert group.problems[0]["detail"].startswith(f"has the same commits as a task before it in {group.branch} (at ")
    assert plain_platform.get(Task, about.two.id).state == "in_progress"


# Emptied tests in files that are hard to read


# Forbidden paths


def _touch(name: str) -> Evade:
    return lambda tree: write(tree, name, "taken over\n")


def _link(name: str, target: str = "elsewhere") -> Evade:
    def evade(tree: WorkTree) -> None:
        (tree.path / name).parent.mkdir(parents=True, exist_ok=True)
        (tree.path / name).symlink_to(target)

    return evade


def _rename(old: str, new: str) -> Evade:
    def evade(tree: WorkTree) -> None:
        (tree.path / new).parent.mkdir(parents=True, exist_ok=True)
        git("mv", old, new, at=tree.path)

    return evade


FORBIDDEN = {
    "**/secrets/**": [_touch("a\nb/secrets/key")],
    "src/**/locked.py": [_touch("src/a/b/locked.py"), _link("src/a")],
    "ci/**": [_link("ci"), _rename("readme", "ci/readme")],
    "/readme": [_rename("readme", "read/me")],
}


@pytest.mark.slow
def test_a_forbidden_path_is_refused(plain_platform: Platform) -> None:
    evasions = [evade for some in FORBIDDEN.values() for evade in some]

    found = verdicts(plain_platform, *evasions, forbidden_paths=list(FORBIDDEN))

    assert found == [("in_progress", ["forbidden_paths"])] * len(evasions)


# Foreign history


def test_unrelated_history_is_refused_with_its_code(plain_platform: Platform) -> None:
    def orphan(tree: WorkTree) -> None:
        git("checkout", "--quiet", "--orphan", "another-beginning", at=tree.path)

    assert verdicts(plain_platform, orphan) == [("in_progress", ["unrelated_history"])]
