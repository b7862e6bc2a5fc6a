"""Who is blamed for a red group, and who is not; and what happens to a group when people touch its members."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from common.models import CommitVerdict, EventRow, GroupMember, Project, Task, TaskGroup
from common.services.delivery import merge_train, task_groups
from common.services.delivery.bisection import CONFIRMING_RUNS, GREEN_RUNS
from common.services.projects import projects
from common.services.tasks import tasks
from common.transaction import Transaction, transactional
from common.values.states import TaskState
from tests.providers.git_work_tree import git
from tests.workers.platform import Platform

PLAIN = {"index.html": "<h1>first</h1>\n"}
FILES: list[Mapping[str, str | None]] = [{f"f{number}": "x\n"} for number in range(3)]


class Scripted:
    """A test command whose results are written down before: line n is run n's, and green is what follows the last.

    It writes down every commit that it was run on.
    """

    def __init__(self, folder: Path, results: str = "") -> None:
        self._script, self._log = folder / "script", folder / "ran"
        self.command = (
            f"git rev-parse HEAD >> {self._log}; said=$(sed -n $(wc -l < {self._log})p {self._script}); "
            f'echo "said $said"; test "$said" != red'
        )
        self.follow(results)

    def follow(self, results: str) -> None:
        """r: red, g: green, from the next run on."""
        self._script.write_text("".join({"r": "red\n", "g": "green\n"}[result] for result in results))
        self._log.write_text("")


def _test_with(platform: Platform, project: Project, command: str, *, green_runs: int = 0) -> None:
    projects.update_project(project.id, {"test_command": command, "group_test_runs": green_runs}, by=platform.max)


def approved(platform: Platform, project: Project, *changes: Mapping[str, str | None]) -> list[Task]:
    """Approved tasks with these changes; how work is proven is not what these tests are about."""
    tree = platform.clone(project)
    made = [platform.task(project, f"Task {number}") for number in range(len(changes))]
    for task, change in zip(made, changes, strict=True):
        _approve(task.id, tree.commit(change, on=task.branch_name, start="origin/main"))
        tree.push(task.branch_name)
    return [platform.get(Task, task.id) for task in made]


@transactional
def _approve(tx: Transaction, task_id: str, sha: str) -> None:
    task = tx.lock(Task, task_id)
    task.state_, task.head_sha, task.approved_sha, task.approved_by = TaskState.APPROVED, sha, sha, "max"


def _kinds(group: TaskGroup) -> list[tuple[str | None, str]]:
    return [(problem["taskId"], problem["kind"]) for problem in group.problems]


def _check(platform: Platform, group: TaskGroup) -> tuple[str, str]:
    (check,) = task_groups.read_task_group(group.id, by=platform.max).checks
    return check.status, check.message


def _push_to(platform: Platform, project: Project, task: Task, files: dict[str, str]) -> str:
    """As a person does who goes on with the task's branch."""
    tree = platform.clone(project)
    git("checkout", "--quiet", "-B", task.branch_name, f"origin/{task.branch_name}", at=tree.path)
    sha = tree.commit(files, on=task.branch_name)
    tree.push(task.branch_name)
    platform.poll_repository(project)
    return sha


def _files_of(platform: Platform, project: Project, commit: str) -> set[str]:
    tree = platform.clone(project)
    return set(git("ls-tree", "-r", "--name-only", commit, at=tree.path).split())


@pytest.mark.slow
@pytest.mark.parametrize("results", ["rgg", "rgrr"])
def test_a_group_that_was_flaky_is_no_longer_so_when_a_retry_is_green(
    platform: Platform, tmp_path: Path, results: str
) -> None:
    tests = Scripted(tmp_path, results)
    project = platform.project(PLAIN)
    (task,) = approved(platform, project, *FILES[:1])
    _test_with(platform, project, tests.command, green_runs=1)
    group = platform.group(task)
    platform.run_jobs()
    assert _kinds(platform.get(TaskGroup, group.id)) == [(None, "flaky")]

    tests.follow("")
    task_groups.retry_task_group(group.id, by=platform.max)
    platform.run_jobs()

    group = platform.get(TaskGroup, group.id)
    assert (group.state, group.problems) == ("merged", [])
    assert _check(platform, group)[0] == "passed"


@pytest.mark.slow
def test_a_red_default_branch_blames_nobody_and_is_tested_once(platform: Platform, tmp_path: Path) -> None:
    project = platform.project({**PLAIN, "broken": "x\n"})
    members = approved(platform, project, *FILES[:2])
    ran = tmp_path / "ran"
    command = f"git rev-parse HEAD >> {ran}; ! test -e broken || {{ echo it is broken; false; }}"
    _test_with(platform, project, command)

    first = platform.staged(*members)

    assert (first.state, _kinds(first)) == ("failed", [(None, "base_is_red")])
    assert "failed in 2 of 2 runs" in first.error
    assert "it is broken" in first.problems[0]["detail"]
    assert [platform.get(Task, task.id).state for task in members] == ["approved"] * 2
    assert Counter(ran.read_text().split())[first.base_sha] == 2
    # A person's retry looks again.
    task_groups.retry_task_group(first.id, by=platform.max)
    platform.run_jobs()
    assert Counter(ran.read_text().split())[first.base_sha] == 4


def test_a_culprit_is_told_what_was_run_with_it_and_without_it(platform: Platform) -> None:
    project = platform.project({**PLAIN, "f0": "", "f1": ""})
    first, second = approved(platform, project, {"f0": "1\n"}, {"f1": "1\n"})
    _test_with(platform, project, "cat f0 f1; test $(cat f0 f1 | wc -l) -lt 2")

    group = platform.staged(first, second)

    assert (group.state, _kinds(group)) == ("staging", [(second.id, "tests_failed")])
    detail = group.problems[0]["detail"]
    assert f"the tests failed in {CONFIRMING_RUNS} of {CONFIRMING_RUNS} runs at" in detail
    assert f"before that the tests passed in {CONFIRMING_RUNS} of {CONFIRMING_RUNS} runs at" in detail
    assert detail.endswith("1\n1")
    assert [platform.get(Task, task.id).state for task in (first, second)] == ["staging", "in_progress"]
    held = platform.all(GroupMember, GroupMember.live_task_id.is_not(None))
    assert [member.task_id for member in held] == [first.id]
    _shows_every_run(platform, group, first, second)
    # What was green as a whole is known when it is the default branch.
    assert {row.commit_sha for row in platform.all(CommitVerdict)} == {group.base_sha, group.tested_sha}


def _shows_every_run(platform: Platform, group: TaskGroup, first: Task, second: Task) -> None:
    """The order, who was taken out and why, and each run with its log, also after the group was rebuilt."""
    train = merge_train.read_train(group.id, by=platform.max)
    assert [(car.task.id, car.member.removed_reason) for car in train.cars] == [
        (first.id, None), (second.id, "tests_failed"),
    ]  # fmt: skip
    assert train.cars[1].detail == group.problems[0]["detail"]
    search, rebuilt = train.tests[:-GREEN_RUNS], train.tests[-1]
    seen = Counter((test.position, test.task_id, test.passed) for test in search)
    assert seen == {
        (2, second.id, False): CONFIRMING_RUNS, (1, first.id, True): CONFIRMING_RUNS, (0, None, True): 1,
    }  # fmt: skip
    assert (rebuilt.position, rebuilt.passed, rebuilt.commit_sha) == (1, True, group.tested_sha)
    assert rebuilt.attempt == search[0].attempt + 1
    logs = {test.position: merge_train.read_test(group.id, test.id, by=platform.max) for test in search}
    assert (logs[2].log.strip(), logs[1].log.strip(), logs[0].log.strip()) == ("1\n1", "1", "")
    assert (bool(logs[2].reason), logs[1].reason) == (True, None)
    assert train.step is None


def test_a_push_before_staging_takes_the_task_out_and_the_rest_is_built_anew(platform: Platform) -> None:
    project = platform.project(PLAIN)
    pushed, other = approved(platform, project, *FILES[:2])
    group = platform.group(pushed, other)
    platform.run_jobs()
    assert platform.get(TaskGroup, group.id).state == "merged"

    sha = _push_to(platform, project, pushed, {"later": "x\n"})

    task = platform.get(Task, pushed.id)
    assert (task.state, task.round, task.approved_sha) == ("in_progress", 2, None)
    group = platform.get(TaskGroup, group.id)
    assert (group.state, _kinds(group)) == ("merged", [(pushed.id, "pushed")])
    assert sha in group.problems[0]["detail"]
    assert {"f0", "f1", "later"} & _files_of(platform, project, group.tested_sha) == {"f1"}
    claimed = platform.claim()
    assert (claimed.task.id, claimed.feedback[0].kind) == (pushed.id, "refusal")


@pytest.mark.slow
def test_a_push_on_staging_is_left_out_and_told(platform: Platform) -> None:
    project = platform.project(PLAIN)
    pushed, other = approved(platform, project, *FILES[:2])
    group = platform.staged(pushed, other)

    earlier = _push_to(platform, project, pushed, {"later": "x\n"})
    sha = _push_to(platform, project, pushed, {"later": "y\n"})

    task = platform.get(Task, pushed.id)
    assert (task.state, task.later_push, task.approved_sha) == ("staging", sha, pushed.approved_sha)
    group = platform.get(TaskGroup, group.id)
    assert (group.state, _kinds(group)) == ("staging", [(pushed.id, "later_push")])
    assert (sha in group.problems[0]["detail"], earlier in group.problems[0]["detail"]) == (True, False)
    told = [row for row in platform.all(EventRow, EventRow.name == "task:updated") if "laterPush" in row.data]
    assert len(told) == 2
    assert platform.get(Task, other.id).later_push is None

    group = platform.to_production(group)
    assert (group.state, platform.get(Task, pushed.id).later_push) == ("production", sha)
    assert {"f0", "f1", "later"} & _files_of(platform, project, group.tested_sha) == {"f0", "f1"}


def test_nothing_of_a_cancelled_task_is_merged(platform: Platform) -> None:
    project = platform.project(PLAIN)
    unwanted, other = approved(platform, project, *FILES[:2])
    group = platform.group(unwanted, other)
    platform.run_jobs()

    tasks.cancel_task(unwanted.id, by=platform.max)
    platform.run_jobs()

    group = platform.get(TaskGroup, group.id)
    assert (group.state, platform.get(Task, unwanted.id).state) == ("merged", "cancelled")
    assert {"f0", "f1"} & _files_of(platform, project, group.tested_sha) == {"f1"}
    assert unwanted.id not in task_groups.read_task_group(group.id, by=platform.max).task_ids
