"""The files of tests that a task changes run as they were, too: what passes only because it was changed is named."""

from __future__ import annotations

import pytest

from common.models import Task, TaskCheck
from tests.workers.jobs.test_which_tests_ran import BROKEN, FILES, PAGE_TESTS, PYTEST, RED, changed, checks_of
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

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
    "a hook beside them": {"tests/conftest.py": HOOK},
    "a hook above them": {"conftest.py": HOOK},
}


def outcome_of(check: TaskCheck) -> tuple[str, str | None, str]:
    return check.status, check.code, check.message or ""


def test_a_test_that_passes_only_because_it_was_changed_is_named(platform: Platform) -> None:
    project = platform.project(FILES, test_command=PYTEST)
    for how, files in HIDDEN.items():
        task = platform.task(project, how)
        platform.work(task, {**BROKEN, **files})

        checks = checks_of(platform, task)
        assert platform.get(Task, task.id).state == "ready_to_test", (how, [outcome_of(one) for one in checks.values()])
        found = checks["changed_tests"]
        message = "2 tests pass only because they were changed; as they were, they do not: " + ", ".join(RED) + "."
        assert (how, *outcome_of(found)) == (how, "passed", "tests_changed", message)
        assert (found.log or "").splitlines() == [f"fails: {name}" for name in RED]
        assert found.facts["failing"] == 2


def test_so_is_one_that_cannot_run_as_it_was(platform: Platform) -> None:
    files = {
        "page.py": 'def name():\n    return "Shop"\n',
        "tests/test_page.py": PAGE_TESTS.replace("import title", "import name").replace("title()", "name()"),
    }
    task = platform.ready(platform.project(FILES, test_command=PYTEST), "Rename the function", files)

    found = checks_of(platform, task)["changed_tests"]
    assert (found.code, found.facts) == ("tests_changed", {"kept": 0, "failing": 0, "unable": 2})
    guarded = "2 tests do not run as they were, so what they guarded is not known to hold: "
    assert found.message == guarded + ", ".join(RED) + "."
    assert (found.log or "").splitlines() == [f"does not run: {name}" for name in RED]
