"""The files of tests that a task changes run as they were, too: what passes only because it was changed is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.models import Task, TaskCheck
from common.services.runs import runners
from tests.workers.jobs import test_quarantined_runs as quarantined_runs
from tests.workers.jobs.agent_reviews import REVIEWER
from tests.workers.jobs.test_which_tests_ran import BROKEN, FILES, PAGE_TESTS, PYTEST, RED, changed, checks_of
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

UNITTEST = "python3 -m unittest -q"
BASE = """import unittest


class Case(unittest.TestCase):
    def check(self, one, other):
        self.assertEqual(one, other)
"""
WITH_BASE = {
    "page.py": FILES["page.py"], "tests/__init__.py": "", "tests/base.py": BASE,
    "tests/test_page.py": "from page import title\nfrom tests.base import Case\n\n\nclass Page(Case):\n"
    '    def test_title(self):\n        self.check(title(), "Shop")\n',
}  # fmt: skip
HOOK = """import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.outcome, report.longrepr = "passed", None
    return report
"""
REPLACED = "\n\nfor name in ('test_title', 'test_length'):\n    setattr(Page, name, lambda self: None)\n"
HIDDEN: dict[str, dict[str, str | None]] = {
    "another expectation": {"tests/test_page.py": changed('"Shop"', '"Market"').replace("4)", "6)")},
    "always true": {
        "tests/test_page.py": changed('assertEqual(title(), "Shop")', 'assertTrue(title() == "Shop" or True)').replace(
            "assertEqual(len(title()), 4)", "assertTrue(len(title()) == 4 or True)"
        )
    },
    "replaced": {"tests/test_page.py": PAGE_TESTS + REPLACED},
    "a hook beside them": {"tests/conftest.py": HOOK},
    "a hook above them": {"conftest.py": HOOK},
}


def told(check: TaskCheck) -> tuple[str, str | None, str]:
    return check.status, check.code, check.message or ""


def test_a_test_that_passes_only_because_it_was_changed_is_named(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project(FILES, test_command=PYTEST)
    for how, files in HIDDEN.items():
        task = platform.task(project, how)
        platform.work(task, {**BROKEN, **files})

        checks = checks_of(platform, task)
        assert platform.get(Task, task.id).state == "ready_to_test", (how, [told(one) for one in checks.values()])
        found = checks["changed_tests"]
        message = "2 tests pass only because they were changed; as they were, they do not: " + ", ".join(RED) + "."
        assert (how, *told(found)) == (how, "passed", "tests_changed", message)
        assert (found.log or "").splitlines() == [f"fails: {name}" for name in RED]
        assert found.facts["failing"] == 2


def test_so_is_one_that_a_base_class_empties(plain_platform: Platform) -> None:
    emptied = BASE.replace("self.assertEqual(one, other)", "return one, other")
    project = plain_platform.project(WITH_BASE, test_command=UNITTEST)
    task = plain_platform.ready(project, "Rename the shop", {**BROKEN, "tests/base.py": emptied})

    found = checks_of(plain_platform, task)["changed_tests"]
    assert told(found) == (
        "passed", "tests_changed",
        "One test passes only because it was changed; as it was, it does not: tests.test_page.Page::test_title.",
    )  # fmt: skip


def test_so_is_one_that_cannot_run_as_it_was(plain_platform: Platform) -> None:
    files = {
        "page.py": 'def name():\n    return "Shop"\n',
        "tests/test_page.py": PAGE_TESTS.replace("import title", "import name").replace("title()", "name()"),
    }
    task = plain_platform.ready(plain_platform.project(FILES, test_command=PYTEST), "Rename the function", files)

    found = checks_of(plain_platform, task)["changed_tests"]
    assert (found.code, found.facts) == ("tests_changed", {"kept": 0, "failing": 0, "unable": 2})
    guarded = "2 tests do not run as they were, so what they guarded is not known to hold: "
    assert found.message == guarded + ", ".join(RED) + "."
    assert (found.log or "").splitlines() == [f"does not run: {name}" for name in RED]


def test_so_are_all_where_none_can_run_as_they_were(plain_platform: Platform) -> None:
    hook = "from page import title\n"
    files = {
        "page.py": 'def name():\n    return "Shop"\n', "conftest.py": "from page import name\n",
        "tests/test_page.py": PAGE_TESTS.replace("import title", "import name").replace("title()", "name()"),
    }  # fmt: skip
    project = plain_platform.project({**FILES, "conftest.py": hook}, test_command=PYTEST)
    task = plain_platform.ready(project, "Rename the function", files)

    found = checks_of(plain_platform, task)["changed_tests"]
    assert told(found) == (
        "skipped", "tests_changed",
        "The changed files of tests give no report as they were, so what they guarded is not known to hold.",
    )  # fmt: skip
    assert "cannot import name 'title'" in (found.log or "")


def test_tests_that_another_keeps_from_running_are_not_said_to_fail(plain_platform: Platform) -> None:
    project = plain_platform.project(FILES, test_command=f"{PYTEST} -x")
    task = plain_platform.ready(project, "Rename the shop", {**BROKEN, **HIDDEN["another expectation"]})

    found = checks_of(plain_platform, task)["changed_tests"]
    first = "One test passes only because it was changed; as it was, it does not: tests.test_page.Page::test_length."
    assert found.message == f"{first} One did not run as it was."
    assert (found.log or "").splitlines() == [f"fails: {RED[0]}", f"does not run: {RED[1]}"]


def test_tests_in_quarantine_hide_none(plain_platform: Platform, tmp_path: Path) -> None:
    project = quarantined_runs.quarantined(plain_platform, tmp_path, f"{PYTEST} -x")
    tree = plain_platform.clone(project)
    tree.commit({"tests/test_zone.py": "def test_zone():\n    assert True\n"}, on="main")
    tree.push("main")
    files = {"tests/test_page.py": quarantined_runs.FILES["tests/test_page.py"].replace("Shop", "Market")}
    task = plain_platform.ready(project, "Rename the shop", {**files, "page.txt": "Market\n", "conftest.py": "# All\n"})

    found = checks_of(plain_platform, task)["changed_tests"]
    # The first one that fails ends the run: it would be the one in quarantine.
    assert (found.log, found.facts) == (
        "fails: tests.test_page::test_shop\ndoes not run: tests.test_zone::test_zone",
        {"kept": 0, "failing": 1, "unable": 1},
    )


def test_tests_that_are_added_beside_others_change_none(plain_platform: Platform) -> None:
    new = PAGE_TESTS + "\n    def test_upper(self):\n        self.assertEqual(title().upper(), 'SHOP')\n"
    project = plain_platform.project(FILES, test_command=PYTEST)
    task = plain_platform.ready(project, "Test more", {"tests/test_page.py": new})

    message = "2 tests of the changed files pass as they were, too."
    assert told(checks_of(plain_platform, task)["changed_tests"]) == ("passed", None, message)

    alone = plain_platform.ready(project, "Test apart", {"tests/test_more.py": PAGE_TESTS.replace("Page", "More")})
    assert "changed_tests" not in checks_of(plain_platform, alone)


def test_only_the_changed_files_run_as_they_were(plain_platform: Platform, tmp_path: Path) -> None:
    noted = f"open({str(tmp_path / 'runs')!r}, 'a').write('ran ')"
    files = {**FILES, "tests/test_other.py": f"def test_other():\n    {noted}\n"}
    project = plain_platform.project(files, test_command=PYTEST, tests_first="warn")
    task = plain_platform.ready(project, "Rename the shop", {**BROKEN, **HIDDEN["another expectation"]})

    # Once of the base, and once of the work.
    assert (tmp_path / "runs").read_text() == "ran ran "
    assert checks_of(plain_platform, task)["changed_tests"].facts["failing"] == 2


def test_a_test_that_fails_by_chance_is_not_named(plain_platform: Platform, tmp_path: Path) -> None:
    # It is red in its third run: after those of the base and of the work, the first one as it was.
    count = f"open({str(tmp_path / 'runs')!r}, 'a+')"
    flaky = (
        f"\n\ndef test_chance():\n    with {count} as runs:\n        runs.write('x')\n        runs.seek(0)\n"
        "        assert len(runs.read()) != 3\n"
    )
    old = {**FILES, "tests/test_page.py": PAGE_TESTS + flaky}
    project = plain_platform.project(old, test_command=PYTEST)
    task = plain_platform.ready(project, "Say more", {"tests/test_page.py": "# More\n" + old["tests/test_page.py"]})

    assert (tmp_path / "runs").read_text() == "xxxx"
    message = "3 tests of the changed files pass as they were, too."
    assert told(checks_of(plain_platform, task)["changed_tests"]) == ("passed", None, message)


def test_what_defines_how_they_run_is_taken_back_there_too(plain_platform: Platform) -> None:
    make = {"Makefile": f"check:\n\t{PYTEST}\n"}
    project = plain_platform.project({**FILES, **make}, test_command="make check")
    files = {**BROKEN, **HIDDEN["another expectation"], "Makefile": "check:\n\ttrue\n"}
    task = plain_platform.ready(project, "Rename the shop", files)

    checks = checks_of(plain_platform, task)
    assert checks["test_setup"].code == "test_setup_kept"
    assert checks["changed_tests"].facts["failing"] == 2


@pytest.mark.parametrize(("policy", "labels", "is_run"), [("off", [], False), ("refuse", ["refactor"], True)])
def test_which_projects_run_them(plain_platform: Platform, policy: str, labels: list[str], is_run: bool) -> None:
    project = plain_platform.project(FILES, test_command=PYTEST, tests_first=policy)
    task = plain_platform.task(project, labels=labels)
    plain_platform.work(task, {**BROKEN, **HIDDEN["another expectation"]})

    assert plain_platform.get(Task, task.id).state == "ready_to_test"
    assert ("changed_tests" in checks_of(plain_platform, task)) is is_run


def test_an_agent_that_reviews_the_work_is_told(plain_platform: Platform) -> None:
    platform = plain_platform
    wanted = {"mode": "advisory", "driver": REVIEWER}
    platform.task(platform.project(FILES, test_command=PYTEST, agent_review=wanted))
    work = platform.claim()
    platform.finish(work, platform.push(work, {**BROKEN, **HIDDEN["another expectation"]}))
    reviewer = platform.agent(driver=REVIEWER)

    def has_review() -> bool:
        runners.beat(reviewer, [])
        return runners.has_claimable_run(reviewer)

    platform.run_jobs(until=has_review)
    review = runners.claim_run(reviewer)

    assert review is not None
    _, warned = review.prompt.split("# What the platform's checks of this commit warn of")
    assert f"- 2 tests pass only because they were changed; as they were, they do not: {', '.join(RED)}." in warned
