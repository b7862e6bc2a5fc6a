"""What is changed of how the tests run while a proof runs them counts at once: no result of before does."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from common.jobs import VERIFY_RUN
from common.models import FlakyTest, Job, Task, TaskGroup
from common.services import jobs
from common.services.delivery import task_groups
from common.services.projects import projects
from common.services.tasks import findings, tasks, verification
from common.services.tasks.verification import CheckResult
from common.values.scans import names_in
from tests.e2e.instance import wait_until
from tests.made_secrets import aws_key_id
from tests.workers.jobs.test_train import PLAIN, approved
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.jobs.test_whose_fault import FILES, PYTEST
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


def begun(platform: Platform, task: Task, files: dict[str, str | None], mark: Path) -> None:
    """The task's work is proven, and its tests have made the mark."""
    claimed = platform.claim()
    platform.finish(claimed, platform.push(claimed, files))
    platform.run_jobs(until=mark.exists)


def waiting(folder: Path, end: str) -> str:
    """A command that makes the mark `begun`, and ends so when there is a file `go`."""
    return f"touch {folder}/begun; until test -e {folder}/go; do sleep 0.05; done; {end}"


def locking(folder: Path) -> str:
    """A command that holds the folder's lock while it runs, and runs until there is a file `go`."""
    return f"exec 9>{folder}/lock; flock 9; {waiting(folder, 'exit 1')}"


def is_free(folder: Path) -> bool:
    with (folder / "lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_a_result_of_the_former_test_command_does_not_count(plain_platform: Platform, tmp_path: Path) -> None:
    platform = plain_platform
    project = platform.project(FILES, test_command=waiting(tmp_path, "exit 1"))
    task = platform.task(project)
    begun(platform, task, {"readme": "x\n"}, tmp_path / "begun")

    projects.update_project(project.id, {"test_command": PYTEST}, by=platform.max)
    (tmp_path / "go").touch()
    platform.run_jobs()

    assert checks_of(platform, task)["tests"].message == "The tests pass: 1 ran."
    assert platform.get(Task, task.id).state == "ready_to_test"


def test_tests_by_a_former_command_are_stopped(plain_platform: Platform, tmp_path: Path) -> None:
    """They would take the place of others until their time is up."""
    platform = plain_platform
    project = platform.project(FILES, test_command=locking(tmp_path))
    task = platform.task(project)
    begun(platform, task, {"readme": "x\n"}, tmp_path / "begun")

    projects.update_project(project.id, {"test_command": PYTEST}, by=platform.max)
    platform.run_jobs()

    assert platform.get(Task, task.id).state == "ready_to_test"
    assert is_free(tmp_path)


def test_tests_are_stopped_when_their_command_is_removed(plain_platform: Platform, tmp_path: Path) -> None:
    platform = plain_platform
    project = platform.project(FILES, test_command=locking(tmp_path))
    task = platform.task(project)
    begun(platform, task, {"readme": "x\n"}, tmp_path / "begun")

    projects.update_project(project.id, {"test_command": None}, by=platform.max)
    platform.run_jobs()

    assert checks_of(platform, task)["tests"].message == "The project names no tests."
    assert platform.get(Task, task.id).state == "ready_to_test"
    assert is_free(tmp_path)


def test_tests_of_a_cancelled_task_are_stopped_although_their_command_is_removed(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform = plain_platform
    project = platform.project(FILES, test_command=locking(tmp_path))
    task = platform.task(project)
    begun(platform, task, {"readme": "x\n"}, tmp_path / "begun")

    projects.update_project(project.id, {"test_command": None}, by=platform.max)
    tasks.cancel_task(task.id, by=platform.max)
    platform.run_jobs()

    assert is_free(tmp_path)


def test_tests_of_the_commit_below_are_stopped_when_their_command_is_removed(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform = plain_platform
    project = platform.project(FILES, test_command=f"if test -e readme; then exit 1; fi; {locking(tmp_path)}")
    task = platform.task(project)
    begun(platform, task, {"readme": "x\n"}, tmp_path / "begun")

    projects.update_project(project.id, {"test_command": None}, by=platform.max)
    platform.run_jobs()

    assert platform.get(Task, task.id).state == "ready_to_test"
    assert is_free(tmp_path)


def test_tests_of_a_group_are_stopped_when_their_command_is_removed(plain_platform: Platform, tmp_path: Path) -> None:
    platform = plain_platform
    project = platform.project(PLAIN)
    members = approved(platform, project, {"a": "x\n"}, {"b": "x\n"})
    projects.update_project(project.id, {"test_command": locking(tmp_path)}, by=platform.max)
    group = platform.group(*members)
    platform.run_jobs(until=(tmp_path / "begun").exists)

    projects.update_project(project.id, {"test_command": None}, by=platform.max)
    platform.run_jobs()

    assert platform.get(TaskGroup, group.id).state == "merged"
    assert is_free(tmp_path)


def test_a_preview_that_fails_by_a_former_command_begins_anew(plain_platform: Platform, tmp_path: Path) -> None:
    platform = plain_platform
    project = platform.project(start_command=waiting(tmp_path, "exit 1"))
    task = platform.task(project)
    begun(platform, task, {"readme": "x\n"}, tmp_path / "begun")

    projects.update_project(project.id, {"start_command": None}, by=platform.max)
    (tmp_path / "go").touch()
    platform.run_jobs()

    task = platform.get(Task, task.id)
    assert (task.state, task.round) == ("ready_to_test", 1)
    assert checks_of(platform, task)["preview"].status == "passed"


def test_a_result_with_a_former_secret_does_not_count(plain_platform: Platform, tmp_path: Path) -> None:
    platform = plain_platform
    project = platform.project(
        FILES, test_command=waiting(tmp_path, 'test "$SHOP_KEY" = right-key'),
        secret_env_vars={"SHOP_KEY": "wrong-key"}, secrets_in_checks=["SHOP_KEY"],
    )  # fmt: skip
    task = platform.task(project)
    begun(platform, task, {"readme": "x\n"}, tmp_path / "begun")

    projects.update_project(project.id, {"secret_env_vars": {"SHOP_KEY": "right-key"}}, by=platform.max)
    (tmp_path / "go").touch()
    platform.run_jobs()

    assert (checks_of(platform, task)["tests"].status, platform.get(Task, task.id).refusals) == ("passed", 0)
    assert platform.get(Task, task.id).state == "ready_to_test"


def test_a_result_of_a_group_with_a_former_variable_does_not_count(plain_platform: Platform, tmp_path: Path) -> None:
    platform = plain_platform
    project = platform.project(PLAIN)
    members = approved(platform, project, {"a": "x\n"}, {"b": "x\n"})
    command = waiting(tmp_path, 'test "$SHOP" = open')
    projects.update_project(project.id, {"test_command": command, "env_vars": {"SHOP": "shut"}}, by=platform.max)
    group = platform.group(*members)
    platform.run_jobs(until=(tmp_path / "begun").exists)

    projects.update_project(project.id, {"env_vars": {"SHOP": "open"}}, by=platform.max)
    (tmp_path / "go").touch()
    platform.run_jobs()

    group = platform.get(TaskGroup, group.id)
    assert (group.state, group.problems, {run.passed for run in group.build.runs}) == ("merged", [], {True})


def test_a_test_that_only_a_variable_made_green_is_not_flaky(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project(FILES, test_command=PYTEST)
    task = platform.task(project)
    asks = "import os\n\n\ndef test_open():\n    assert os.environ['SHOP'] == 'open'\n"
    sha = platform.work(task, {"readme": "x\n", "tests/test_open.py": asks})
    assert checks_of(platform, task)["tests"].code == "tests_failed"

    projects.update_project(project.id, {"env_vars": {"SHOP": "open"}}, by=platform.max)
    platform.finish(platform.claim(), sha)
    platform.run_jobs()

    assert platform.get(Task, task.id).state == "ready_to_test"
    assert platform.all(FlakyTest) == []


def test_a_run_by_the_definitions_of_the_base_is_none_by_those_of_the_branch(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform = plain_platform
    files = {**FILES, "ci/test.sh": waiting(tmp_path, "exit 0")}
    project = platform.project(files, test_command="sh ci/test.sh", test_setup=["ci/"])
    task = platform.task(project)
    begun(platform, task, {"ci/test.sh": "exit 1\n"}, tmp_path / "begun")

    tasks.update_task(task.id, {"may_change_test_setup": True}, by=platform.max)
    (tmp_path / "go").touch()
    platform.run_jobs()

    checks = checks_of(platform, task)
    assert checks["test_setup"].message == "It changes how the tests run, as it may: ci/test.sh."
    assert (checks["tests"].status, checks["tests"].code) == ("failed", "tests_failed")


def test_a_check_that_is_no_longer_asked_for_does_not_run_for_ever(plain_platform: Platform, tmp_path: Path) -> None:
    platform = plain_platform
    project = platform.project(FILES, test_command=PYTEST, tests_first="refuse")
    task = platform.task(project)
    endless = (
        "import pathlib, time\n\n\ndef test_readme():\n"
        f"    while not pathlib.Path('readme').exists() and not pathlib.Path('{tmp_path}/go').exists():\n"
        "        time.sleep(0.05)\n"
    )
    claimed = platform.claim()
    platform.finish(claimed, platform.push(claimed, {"readme": "x\n", "tests/test_readme.py": endless}))
    platform.run_jobs(until=lambda: "new_tests" in checks_of(platform, task))

    projects.update_project(project.id, {"tests_first": "off"}, by=platform.max)
    (tmp_path / "go").touch()
    platform.run_jobs()

    assert platform.get(Task, task.id).state == "ready_to_test"
    assert {name for name, check in checks_of(platform, task).items() if check.status == "running"} == set()


def test_a_scan_that_is_switched_off_leaves_no_refusal(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project(FILES, secret_scan="refuse")
    task = platform.task(project)
    platform.work(task, {"key.py": f"KEY = '{aws_key_id()}'\n"})
    found = checks_of(platform, task)["secrets"]
    assert found.status == "failed"

    projects.update_project(project.id, {"secret_scan": "off"}, by=platform.max)
    findings.accept_findings(task.id, list(names_in(found.log)), by=platform.max)
    platform.run_jobs()

    assert platform.get(Task, task.id).state == "ready_to_test"
    assert "failed" not in {check.status for check in checks_of(platform, task).values()}


def test_what_a_group_says_of_its_tests_is_what_was_done(plain_platform: Platform) -> None:
    """Whatever the project names as its tests since then."""
    platform = plain_platform
    project = platform.project()
    untested = platform.group(platform.approved(project, "One", {"one": "1\n"}))
    platform.run_jobs()
    projects.update_project(project.id, {"test_command": "true"}, by=platform.max)
    tested = platform.group(platform.approved(project, "Two", {"two": "2\n"}))
    platform.run_jobs()
    assert _tests_of(platform, untested) == ("skipped", "The project named no tests when the branch was merged.")

    projects.update_project(project.id, {"test_command": None}, by=platform.max)

    assert _tests_of(platform, untested) == ("skipped", "The project names no tests.")
    assert _tests_of(platform, tested) == ("passed", "The tests passed on the merged branch.")


def _tests_of(platform: Platform, group: TaskGroup) -> tuple[str, str]:
    (check,) = task_groups.read_task_group(group.id, by=platform.max).checks
    return check.status, check.message


def test_work_that_waits_for_a_group_does_not_say_that_its_tests_run(plain_platform: Platform, tmp_path: Path) -> None:
    """They had begun before the group was merged with which the work conflicts."""
    platform = plain_platform
    task = platform.task(platform.project(test_command=waiting(tmp_path, "exit 0")))
    begun(platform, task, {"a": "1\n"}, tmp_path / "begun")
    assert [name for name, check in checks_of(platform, task).items() if check.status == "running"] == ["tests"]

    (job,) = platform.all(Job, Job.kind == VERIFY_RUN.name)
    wait_until("the turn of the proof", lambda: job.id in {one.id for one in platform.due()})
    lease = jobs.claim_job(job.id)
    assert lease is not None
    verification.record_checks(lease, [CheckResult("merge", "running", "It waits.")], after_seconds=1)
    assert [name for name, check in checks_of(platform, task).items() if check.status == "running"] == ["merge"]

    (tmp_path / "go").touch()
    platform.run_jobs()
    assert platform.get(Task, task.id).state == "ready_to_test"
