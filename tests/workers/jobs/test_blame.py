"""Whose fault red tests are: a commit is blamed for what it breaks, never for a red base or a flaky test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from common.errors import NotFound
from common.models import EventRow, FlakyTest, Project, Question, Task
from common.services.proof import flaky_tests, red_base
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.platform import Platform

PYTEST = f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -q -p no:cacheprovider"
SHOP = "def test_shop():\n    assert open('page.txt').read() == 'Shop\\n'\n"
RED = "\n\ndef test_red():\n    assert False\n"
FILES = {"index.html": "<h1>Shop</h1>\n", "page.txt": "Shop\n", "tests/test_page.py": SHOP}
RED_FILES = {"page.txt": "Shop\n", "tests/test_page.py": SHOP + RED}
RED_NAME = "tests.test_page::test_red"


def flaky(counter: Path, red: str) -> str:
    """A test that is red in those of its runs whose numbers, from 1, are in `red`."""
    return (
        "\n\ndef test_luck():\n"
        f"    with open({str(counter)!r}, 'a+') as file:\n"
        "        file.write('x')\n        file.flush()\n        file.seek(0)\n"
        f"        assert str(len(file.read())) not in {red!r}\n"
    )


LUCK = "tests.test_page::test_luck"


def base_tested_events(platform: Platform, project: Project) -> list[EventRow]:
    return platform.all(EventRow, EventRow.feed_id == project.id, EventRow.name == "project:base_tested")


@pytest.mark.slow
def test_a_red_base_blames_no_task_and_is_told_once(platform: Platform) -> None:
    project = platform.project(RED_FILES, test_command=PYTEST)
    for number in range(2):
        task = platform.ready(project, f"Work {number}", {"readme": f"{number}\n"})
        tests = checks_of(platform, task)["tests"]
        assert (tests.status, tests.code) == ("passed", "base_is_red")
        assert tests.message == f"One test fails, and it fails on the commit below too, in main: {RED_NAME}."

    red = platform.get(Project, project.id).red_base
    assert (red.tests, len(base_tested_events(platform, project))) == ((RED_NAME,), 1)
    assert "test_red" in red.log


@pytest.mark.slow
def test_what_breaks_on_a_red_base_is_still_blamed(platform: Platform) -> None:
    task = platform.task(platform.project(RED_FILES, test_command=PYTEST))
    platform.work(task, {"page.txt": "Market\n"})

    tests = checks_of(platform, task)["tests"]
    assert (tests.status, tests.code, platform.get(Task, task.id).round) == ("failed", "tests_failed", 2)
    assert tests.message == ("The tests fail: tests.test_page::test_shop. One other fails on the commit below too.")


@pytest.mark.slow
def test_without_names_a_red_base_asks_a_person_and_costs_no_round(platform: Platform) -> None:
    task = platform.task(platform.project({"page.txt": "Market\n"}, test_command="grep -q Shop page.txt"))
    platform.work(task, {"readme": "x\n"})

    asked = platform.get(Task, task.id)
    (question,) = platform.all(Question, Question.task_id == task.id)
    assert (asked.state, asked.round, asked.refusals, question.context) == ("needs_input", 1, 0, "base_is_red")
    assert "This is no fault of the task." in question.question


ONE_TEST = "import unittest\n\n\nclass Page(unittest.TestCase):\n    def test_it(self):\n        pass\n"


@pytest.mark.slow
def test_a_project_without_tests_yet_is_not_red(platform: Platform) -> None:
    project = platform.project({"readme": "Shop\n"}, test_command=PYTEST)
    task = platform.ready(project, "Work", {"index.html": "<h1>Shop</h1>\n"})
    assert checks_of(platform, task)["tests"].message == "The tests pass: 0 ran."

    task = platform.ready(project, "The first test", {"test_page.py": ONE_TEST})
    checks = checks_of(platform, task)
    assert checks["tests"].message == "The tests pass: 1 ran."
    assert checks["lost_tests"].message == "1 new, none lost."
    assert platform.get(Project, project.id).red_base is None


def test_deleting_all_tests_is_refused(platform: Platform) -> None:
    task = platform.task(platform.project({"test_page.py": ONE_TEST}, test_command=PYTEST))
    platform.work(task, {"test_page.py": None})

    checks = checks_of(platform, task)
    assert checks["tests"].message == "The tests pass: 0 ran."
    assert (checks["lost_tests"].status, checks["lost_tests"].code) == ("failed", "tests_lost")
    assert platform.get(Task, task.id).round == 2


@pytest.mark.slow
def test_a_base_that_was_red_for_an_outage_is_tested_again_when_a_person_says_so(
    platform: Platform, tmp_path: Path
) -> None:
    outage = tmp_path / "outage"
    project = platform.project(FILES, test_command=f"test ! -e {outage} && {PYTEST}")
    outage.touch()
    platform.work(platform.task(project, "Work"), {"readme": "x\n"})
    outage.unlink()
    platform.ready(project, "More work", {"more": "x\n"})
    assert platform.get(Project, project.id).red_base is not None

    red_base.have_base_tested_again(project.id, by=platform.max)
    assert platform.get(Project, project.id).red_base is not None
    task = platform.ready(project, "Most work", {"most": "x\n"})

    assert checks_of(platform, task)["lost_tests"].message == "0 new, none lost."
    assert platform.get(Project, project.id).red_base is None
    red_base.have_base_tested_again(project.id, by=platform.max)
    assert platform.get(Project, project.id).red_base is None


@pytest.mark.slow
def test_an_old_flaky_test_is_noted_and_blames_nobody(platform: Platform, tmp_path: Path) -> None:
    # The first run is that of the first claim, the second repeats it, the third decides, the fourth is the base's.
    files = {**FILES, "tests/test_page.py": SHOP + flaky(tmp_path / "luck", "1")}
    project = platform.project(files, test_command=PYTEST)
    task = platform.ready(project, "Work", {"readme": "x\n"})

    tests = checks_of(platform, task)["tests"]
    assert (tests.status, tests.code) == ("passed", "flaky_tests")
    assert tests.message == f"One test is flaky, red and green on this one commit: {LUCK}."
    (noted,) = platform.all(FlakyTest, FlakyTest.project_id == project.id)
    assert (noted.name, noted.flaked_on, noted.last_sha) == (LUCK, 1, task.head_sha)


@pytest.mark.slow
def test_failures_in_quarantine_count_for_nothing_until_it_ends(platform: Platform, tmp_path: Path) -> None:
    files = {**FILES, "tests/test_page.py": SHOP + flaky(tmp_path / "luck", "1567")}
    project = platform.project(files, test_command=PYTEST, most_quarantined=1)
    platform.ready(project, "Work", {"readme": "x\n"})
    with pytest.raises(NotFound):
        flaky_tests.quarantine(project.id, "tests.test_page::test_shop", days=7, reason="x", by=platform.max)

    kept = flaky_tests.quarantine(project.id, LUCK, days=7, reason="a slow clock", by=platform.max)

    assert kept.quarantined_until is not None
    task = platform.ready(project, "More work", {"readme": "y\n"})
    tests = checks_of(platform, task)["tests"]
    assert (tests.code, tests.message) == ("quarantined_tests", f"The tests pass but for 1 in quarantine: {LUCK}.")

    flaky_tests.release(project.id, LUCK, by=platform.max)
    flaky_tests.release(project.id, LUCK, by=platform.max)
    refused = platform.task(project, "Even more work")
    platform.work(refused, {"readme": "z\n"})
    assert checks_of(platform, refused)["tests"].code == "tests_failed"
    names = [event.name for event in platform.all(EventRow, EventRow.name.startswith("test:"))]
    assert names == ["test:quarantined", "test:released"]


@pytest.mark.slow
def test_a_train_goes_on_past_failures_in_quarantine_and_uses_what_proofs_know_of_the_base(
    platform: Platform, tmp_path: Path
) -> None:
    files = {**FILES, "tests/test_page.py": SHOP + flaky(tmp_path / "luck", "15")}
    project = platform.project(files, test_command=PYTEST)
    task = platform.approved(project, "Work", {"readme": "x\n"})
    flaky_tests.quarantine(project.id, LUCK, days=7, reason="a slow clock", by=platform.max)

    group = platform.staged(task)

    assert (group.state, group.error) == ("staging", None)
    assert [problem["kind"] for problem in group.problems] == ["quarantined"]
    assert LUCK in group.problems[0]["detail"]
