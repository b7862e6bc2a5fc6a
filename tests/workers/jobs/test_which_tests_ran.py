"""Which tests ran is compared with the commit below: every way to hide a red test is refused, honest work passes."""

from __future__ import annotations

import sys

import pytest

from common.errors import Invalid
from common.models import Comment, Task, TaskCheck
from common.services.proof import test_review
from common.services.tasks import tasks
from tests.workers.platform import Platform

PYTEST = f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -q -p no:cacheprovider"
PAGE_TESTS = """import unittest

from page import title


class Page(unittest.TestCase):
    def test_title(self):
        self.assertEqual(title(), "Shop")

    def test_length(self):
        self.assertEqual(len(title()), 4)
"""
FILES = {
    "page.py": 'def title():\n    return "Shop"\n',
    "tests/test_page.py": PAGE_TESTS,
    "tests/__init__.py": "",
    "tests/test_other.py": "def test_other():\n    assert True\n",
}
BROKEN = {"page.py": 'def title():\n    return "Market"\n'}
"""Breaks both tests."""
RED = ["tests.test_page.Page::test_length", "tests.test_page.Page::test_title"]


def changed(old: str, new: str, text: str = PAGE_TESTS) -> str:
    assert old in text
    return text.replace(old, new)


HOLLOW_PAGE = changed('self.assertEqual(title(), "Shop")', "pass").replace("self.assertEqual(len(title()), 4)", "pass")


LIES: dict[str, dict[str, str | None]] = {
    "skipped": {"tests/test_page.py": changed("class Page", '@unittest.skip("later")\nclass Page')},
    "expected to fail": {"tests/test_page.py": changed("    def ", "    @unittest.expectedFailure\n    def ")},
    "emptied": {
        "tests/test_page.py": changed('self.assertEqual(title(), "Shop")', "pass").replace(
            "self.assertEqual(len(title()), 4)", "return\n        self.assertEqual(len(title()), 4)"
        )
    },
    "not collected": {"tests/test_page.py": changed("Page(unittest.TestCase)", "Pages")},
    "swapped": {
        "tests/test_page.py": changed("def test_", "def check_")
        + "\n    def test_title(self):\n        self.assertTrue(True)\n\n    def test_length(self):\n        pass\n"
    },
    "exit": {"tests/__init__.py": "import os\n\nos._exit(0)\n"},
    "deleted": {"tests/test_page.py": None},
    "a report of its own": {
        "tests/__init__.py": "import os\n\nos._exit(0)\n",
        "target/surefire-reports/TEST-page.xml": '<testsuite><testcase classname="tests.test_page.Page" '
        'name="test_title"/><testcase classname="tests.test_page.Page" name="test_length"/></testsuite>',
    },
}


def checks_of(platform: Platform, task: Task) -> dict[str, TaskCheck]:
    run = max((run for run in platform.runs(task) if run.claimed_sha), key=lambda run: run.created_at)
    return {check.name: check for check in platform.all(TaskCheck, TaskCheck.run_id == run.id)}


def lost_names(check: TaskCheck) -> list[str]:
    return [line.split(": ", 1)[1] for line in (check.log or "").splitlines()]


@pytest.mark.slow
def test_a_hidden_test_is_refused_by_its_name(platform: Platform) -> None:
    project = platform.project(FILES, test_command=PYTEST)
    for lie, files in LIES.items():
        task = platform.task(project, lie)
        platform.work(task, {**BROKEN, **files})

        checks = checks_of(platform, task)
        assert checks["tests"].status == "passed", (lie, checks["tests"].log)
        lost = checks["lost_tests"]
        assert (lie, lost.status, lost.code) == (lie, "failed", "tests_lost")
        assert set(lost_names(lost)) >= set(RED), lie
        assert platform.get(Task, task.id).round == 2
        tasks.cancel_task(task.id, by=platform.max)


NEW = "\n    def test_upper(self):\n        from page import upper\n\n        self.assertEqual(upper(), 'SHOP')\n"
UPPER = {"page.py": FILES["page.py"] + "\n\ndef upper():\n    return title().upper()\n"}
HONEST: dict[str, tuple[dict[str, str | None], str]] = {
    "a feature with its test": (
        {**UPPER, "tests/test_page.py": PAGE_TESTS + NEW}, "1 new, none lost.",
    ),
    "a rename": ({"tests/test_page.py": changed("test_title", "test_name")}, "0 new, none lost, 1 renamed."),
    "a moved file": (
        {"tests/test_page.py": None, "tests/unit/__init__.py": "", "tests/unit/test_title.py": PAGE_TESTS},
        "0 new, none lost, 2 renamed.",
    ),
    "another assertion": (
        {"page.py": 'def title():\n    return "Mall"\n', "tests/test_page.py": changed('"Shop"', '"Mall"')},
        "0 new, none lost.",
    ),
}  # fmt: skip


@pytest.mark.slow
def test_honest_work_passes(platform: Platform) -> None:
    project = platform.project(FILES, test_command=PYTEST)
    for work, (files, message) in HONEST.items():
        task = platform.ready(project, work, files)

        checks = checks_of(platform, task)
        assert checks["tests"].message == f"The tests pass: {4 if '1 new' in message else 3} ran."
        assert (work, checks["lost_tests"].message, checks["lost_tests"].code) == (work, message, None)


@pytest.mark.slow
def test_a_project_may_only_be_warned_of_lost_tests(platform: Platform) -> None:
    project = platform.project(FILES, test_command=PYTEST, keep_tests=False)
    task = platform.ready(project, "Tidy", {"tests/test_page.py": None})

    lost = checks_of(platform, task)["lost_tests"]
    assert (project.tests_lost, lost.status, lost.code) == ("warn", "passed", "tests_lost")


def test_without_a_report_the_proof_says_so(platform: Platform) -> None:
    task = platform.ready(platform.project(FILES, test_command="grep -q Shop page.py"), "Work", {"readme": "x\n"})
    assert checks_of(platform, task)["tests"].message == "The tests pass (exit code only)."

    task = platform.ready(platform.project(FILES, test_command="make -v"), "Work", {"readme": "x\n"})
    assert checks_of(platform, task)["tests"].message == "The tests pass (exit code only: no file was found)."


HOLLOW = "\n    def test_more(self):\n        self.assertTrue(True)\n"
FAILS_WITHOUT = "One test is new or changed; it fails without the change."
FIRST: list[tuple[dict[str, str | None], str, str | None, str]] = [
    (dict(HONEST["a feature with its test"][0]), "passed", None, FAILS_WITHOUT),
    (
        {**UPPER, "tests/test_upper.py": "from page import upper\n\n\ndef test_upper():\n    assert upper()\n"},
        "passed", None, "One test is new or changed; it can't run without the change.",
    ),
    (
        {**UPPER, "tests/test_page.py": PAGE_TESTS + HOLLOW}, "failed", "tests_prove_nothing",
        "One new or changed test passes without the change, so it proves nothing: tests.test_page.Page::test_more.",
    ),
]  # fmt: skip


@pytest.mark.slow
def test_new_tests_are_run_without_the_change(platform: Platform) -> None:
    project = platform.project(FILES, test_command=PYTEST, tests_first="refuse")
    for files, status, code, message in FIRST:
        task = platform.task(project)
        platform.work(task, files)

        found = checks_of(platform, task)["new_tests"]
        assert (found.status, found.code, found.message) == (status, code, message)
        tasks.cancel_task(task.id, by=platform.max)


@pytest.mark.slow
def test_new_tests_of_a_task_that_is_labelled_so_may_pass_without_the_change(platform: Platform) -> None:
    task = platform.task(platform.project(FILES, test_command=PYTEST, tests_first="refuse"), labels=["Tests"])
    platform.work(task, {"tests/test_page.py": PAGE_TESTS + HOLLOW})

    assert "new_tests" not in checks_of(platform, task)
    assert platform.get(Task, task.id).state == "ready_to_test"


@pytest.mark.slow
def test_a_person_lets_lost_tests_go_which_costs_no_round(platform: Platform) -> None:
    task = platform.task(platform.project(FILES, test_command=PYTEST))
    sha = platform.work(task, {"tests/test_page.py": changed("def test_", "def check_")})
    assert platform.get(Task, task.id).round == 2
    with pytest.raises(Invalid):
        test_review.accept_lost_tests(task.id, ["tests.test_page.Page::test_price"], by=platform.max)

    test_review.accept_lost_tests(task.id, RED[:1], by=platform.max)
    assert platform.get(Task, task.id).round == 2
    for _twice in range(2):
        test_review.accept_lost_tests(task.id, RED[1:], by=platform.max)
        platform.run_jobs()

        proven = platform.get(Task, task.id)
        assert (proven.state, proven.head_sha, proven.round, proven.refusals) == ("ready_to_test", sha, 1, 0)
    assert checks_of(platform, task)["lost_tests"].message == "0 new, none lost, 2 let go by a person."
    assert not platform.all(Comment, Comment.task_id == task.id, Comment.delivered_run_id.is_(None))
    found = test_review.read_tests(task.id, by=platform.max)
    assert (found.commit_sha, found.problem) == (sha, None)
    assert [(test.name, test.result) for test in found.tests] == [("tests.test_other::test_other", "passed")]
