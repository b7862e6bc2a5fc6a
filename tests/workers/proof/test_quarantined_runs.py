"""Failures in quarantine count for nothing, and hide nothing: what fails beside or behind them is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.models import Project
from common.services.proof import flaky_tests
from common.services.tasks import tasks
from tests.workers.jobs.test_blame import PYTEST
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.platform import Platform

FILES = {
    "index.html": "<h1>Shop</h1>\n", "page.txt": "Shop\n",
    "tests/test_page.py": "def test_shop():\n    assert open('page.txt').read() == 'Shop\\n'\n",
}  # fmt: skip
LUCK = "tests.first.test_luck::test_luck"


def luck(bad: Path) -> str:
    """A test that is red while there is the file; and only once if that says so."""
    return (
        "from pathlib import Path\n\n\ndef test_luck():\n"
        f"    bad = Path({str(bad)!r})\n    is_red = bad.exists()\n"
        "    if is_red and bad.read_text() == 'once':\n        bad.unlink()\n    assert not is_red\n"
    )


def quarantined(platform: Platform, folder: Path, command: str) -> Project:
    """A project with a test in quarantine that is always red from now on."""
    bad = folder / "bad"
    files = {**FILES, "tests/first/test_luck.py": luck(bad)}
    project = platform.project(files, test_command=command, tests_first="refuse")
    bad.write_text("once")
    found = platform.ready(project, "Find the flaky test", {"readme": "x\n"})
    tasks.cancel_task(found.id, by=platform.max)
    flaky_tests.quarantine(project.id, LUCK, days=7, reason="a slow clock", by=platform.max)
    # Of this commit of the default branch nothing is known.
    tree = platform.clone(project)
    tree.commit({"other": "x\n"}, on="main")
    tree.push("main")
    bad.write_text("always")
    return project


@pytest.mark.slow
def test_tests_that_never_ran_behind_one_in_quarantine_are_run(platform: Platform, tmp_path: Path) -> None:
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
