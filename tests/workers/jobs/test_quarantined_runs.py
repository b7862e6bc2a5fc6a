"""Failures in quarantine count for nothing, and hide nothing: what fails beside or behind them is found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from common.models import Project, Question, Task, TaskGroup
from common.services.tasks import flaky_tests, tasks
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.jobs.test_whose_fault import PYTEST
from tests.workers.platform import Platform

FILES = {
    "index.html": "<h1>Shop</h1>\n", "page.txt": "Shop\n",
    "tests/test_page.py": "def test_shop():\n    assert open('page.txt').read() == 'Shop\\n'\n",
}  # fmt: skip
LUCK = "tests.first.test_luck::test_luck"
BOTH_STEPS = f"a=0; {PYTEST} || a=1; test ! -e type_error || a=1; exit $a"
"""As tox and `make -k` do: both run, and the exit status says whether one failed."""


def luck(bad: Path) -> str:
    """A test that is red while there is the file; and only once if that says so."""
    return (
        "from pathlib import Path\n\n\ndef test_luck():\n"
        f"    bad = Path({str(bad)!r})\n    is_red = bad.exists()\n"
        "    if is_red and bad.read_text() == 'once':\n        bad.unlink()\n    assert not is_red\n"
    )


def quarantined(platform: Platform, folder: Path, command: str, name: str = LUCK) -> Project:
    """A project with a test in quarantine that is always red from now on."""
    bad = folder / "bad"
    files = {**FILES, "tests/first/test_luck.py": luck(bad)}
    project = platform.project(files, test_command=command, tests_first="refuse")
    bad.write_text("once")
    found = platform.ready(project, "Find the flaky test", {"readme": "x\n"})
    tasks.cancel_task(found.id, by=platform.max)
    flaky_tests.quarantine(project.id, name, days=7, reason="a slow clock", by=platform.max)
    # Of this commit of the default branch nothing is known.
    push(platform, project, "other")
    bad.write_text("always")
    return project


def push(platform: Platform, project: Project, name: str) -> None:
    tree = platform.clone(project)
    tree.commit({name: "x\n"}, on="main")
    tree.push("main")


@pytest.mark.slow
def test_another_step_that_fails_beside_a_test_in_quarantine_is_blamed(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform = plain_platform
    project = quarantined(platform, tmp_path, BOTH_STEPS)
    task = platform.task(project)
    platform.work(task, {"type_error": "x\n"})

    tests = checks_of(platform, task)["tests"]
    assert (tests.status, tests.code) == ("failed", "tests_failed")
    assert tests.message == "The tests fail: it exited with 1. Those in quarantine were left out."


@pytest.mark.slow
def test_tests_that_never_ran_behind_one_in_quarantine_are_run(plain_platform: Platform, tmp_path: Path) -> None:
    platform = plain_platform
    project = quarantined(platform, tmp_path, f"{PYTEST} -x")
    broken = platform.task(project, "Break it")
    platform.work(broken, {"page.txt": "Market\n"})
    tests = checks_of(platform, broken)["tests"]
    assert (tests.status, tests.code) == ("failed", "tests_failed")
    assert tests.message == "The tests fail: tests.test_page::test_shop. Those in quarantine were left out."
    tasks.cancel_task(broken.id, by=platform.max)

    honest = platform.ready(project, "Work", {"readme": "y\n"})
    checks = checks_of(platform, honest)
    assert checks["tests"].message == f"The tests pass but for 1 in quarantine: {LUCK}."
    assert checks["lost_tests"].message == "0 new, none lost."
    hidden = platform.task(project, "Delete the test")
    platform.work(hidden, {"page.txt": "Market\n", "tests/test_page.py": None})
    assert checks_of(platform, hidden)["lost_tests"].code == "tests_lost"


@pytest.mark.slow
def test_tests_that_one_in_quarantine_hid_on_the_commit_below_are_compared_when_it_is_green_again(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform = plain_platform
    project = quarantined(platform, tmp_path, f"{PYTEST} -x")
    # Now the commit below is tested, too.
    tasks.cancel_task(platform.ready(project, "Earlier work", {"readme": "y\n"}).id, by=platform.max)
    (tmp_path / "bad").unlink()

    honest = platform.task(project, "Work")
    platform.work(honest, {"readme": "z\n"})
    checks = checks_of(platform, honest)
    assert checks["lost_tests"].message == "0 new, none lost."
    assert "new_tests" not in checks
    tasks.cancel_task(honest.id, by=platform.max)
    hidden = platform.task(project, "Delete the test")
    platform.work(hidden, {"page.txt": "Market\n", "tests/test_page.py": None})
    assert checks_of(platform, hidden)["lost_tests"].code == "tests_lost"


@pytest.mark.slow
def test_what_one_in_quarantine_hid_on_the_commit_below_is_not_blamed_when_it_is_green_again(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform = plain_platform
    project = quarantined(platform, tmp_path, BOTH_STEPS)
    push(platform, project, "type_error")
    (tmp_path / "bad").write_text("always")
    # Its tests are compared with those of the commit below.
    platform.ready(project, "Mend the step", {"type_error": None})

    (tmp_path / "bad").unlink()
    task = platform.task(project, "Work")
    platform.work(task, {"readme": "z\n"})
    tests = checks_of(platform, task)["tests"]
    assert (tests.code, platform.get(Task, task.id).refusals) == ("base_is_red", 0), tests.message


@pytest.mark.slow
def test_a_group_stops_at_a_step_that_fails_beside_a_test_in_quarantine(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform = plain_platform
    project = quarantined(platform, tmp_path, BOTH_STEPS)
    task = platform.approved(project, "Work", {"readme": "y\n"})
    push(platform, project, "type_error")

    group = platform.staged(task)

    assert (group.state, [problem["kind"] for problem in group.problems]) == ("failed", ["base_is_red"])
    red = platform.get(Project, project.id).red_base
    assert red is not None
    assert (red.tests, red.reason) == ((), "it exited with 1")
    # The task that mends it is not held.
    mended = platform.task(project, "Mend it")
    platform.work(mended, {"type_error": None})
    assert platform.get(Task, mended.id).state == "ready_to_test"


@pytest.mark.slow
def test_where_the_test_cannot_be_left_out_a_person_is_asked_unless_it_is_green_once(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform = plain_platform
    # A test of another name than the one in the report can't be left out.
    name = f"other.{LUCK}"
    project = quarantined(platform, tmp_path, f"{PYTEST} --junit-prefix=other", name)
    task = platform.task(project)
    platform.work(task, {"readme": "y\n"})

    (question,) = platform.all(Question, Question.task_id == task.id)
    asked = platform.get(Task, task.id)
    assert (asked.state, asked.refusals, question.context) == ("needs_input", 0, "quarantined_tests")
    assert f"failed 3 times in a row, so nothing tells whether others would fail: {name}." in question.question

    (tmp_path / "bad").write_text("once")
    lucky = platform.ready(project, "More work", {"readme": "z\n"})
    assert checks_of(platform, lucky)["tests"].message == f"The tests pass but for 1 in quarantine: {name}."


# Of the second nothing tells at its start that it is pytest, so it exits with 5 if it has no test but those left out.
IN_A_PROGRAM = f"""{sys.executable} -c "import sys, pytest; sys.exit(pytest.main(['-q', *sys.argv[1:]]))\""""


@pytest.mark.slow
@pytest.mark.parametrize(("runner", "is_left_out"), [(PYTEST, True), (IN_A_PROGRAM, False)])
def test_what_follows_a_call_that_has_no_other_test_is_run(
    plain_platform: Platform, tmp_path: Path, runner: str, is_left_out: bool
) -> None:
    platform = plain_platform
    project = quarantined(platform, tmp_path, f"{runner} tests/first && {runner} tests/test_page.py")
    honest = platform.task(project)
    platform.work(honest, {"readme": "y\n"})
    tests = checks_of(platform, honest)["tests"]
    assert (tests.status, tests.code) == ("passed" if is_left_out else "failed", "quarantined_tests")
    tasks.cancel_task(honest.id, by=platform.max)

    broken = platform.task(project, "Break it")
    platform.work(broken, {"page.txt": "Market\n"})
    tests = checks_of(platform, broken)["tests"]
    assert tests.status == "failed"
    assert tests.code == ("tests_failed" if is_left_out else "quarantined_tests")


@pytest.mark.slow
def test_a_group_stops_at_a_test_of_the_call_behind_one_that_has_no_other_test(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform = plain_platform
    project = quarantined(platform, tmp_path, f"{PYTEST} tests/first && {PYTEST} tests/test_page.py")
    task = platform.approved(project, "Work", {"readme": "y\n"})
    tree = platform.clone(project)
    tree.commit({"page.txt": "Market\n"}, on="main")
    tree.push("main")

    group = platform.staged(task)

    assert (group.state, [problem["kind"] for problem in group.problems]) == ("failed", ["base_is_red"])


@pytest.mark.slow
def test_a_quarantine_that_begins_while_a_group_is_tested_counts_for_all_of_its_runs(
    plain_platform: Platform, tmp_path: Path
) -> None:
    platform = plain_platform
    project = quarantined(platform, tmp_path, PYTEST)
    task = platform.approved(project, "Work", {"readme": "y\n"})
    flaky_tests.release(project.id, LUCK, by=platform.max)
    group = platform.group(task)
    platform.run_jobs(until=lambda: len(platform.get(TaskGroup, group.id).build.runs) == 1)

    flaky_tests.quarantine(project.id, LUCK, days=7, reason="a slow clock", by=platform.max)
    platform.run_jobs()

    done = platform.get(TaskGroup, group.id)
    assert (done.state, [problem["kind"] for problem in done.problems]) == ("merged", ["quarantined"])
    assert done.attempt == 2
