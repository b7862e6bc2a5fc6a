"""Tests whose names contain the value of a secret are known by their masked names, wherever they are compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.models import FlakyTest, TaskGroup
from common.services.projects import projects
from common.services.tasks import flaky_tests
from tests.workers.jobs.test_quarantined_runs import push
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.jobs.test_whose_fault import PYTEST, SHOP
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

SECRET = {"secret_env_vars": {"DB_PASSWORD": "password"}}


def test_a_red_base_blames_no_task(plain_platform: Platform) -> None:
    platform = plain_platform
    red = "\n\ndef test_password():\n    assert False\n"
    files = {"page.txt": "Shop\n", "tests/test_page.py": SHOP + red}
    project = platform.project(files, test_command=PYTEST, **SECRET)
    tests = checks_of(platform, platform.ready(project, "Work", {"readme": "x\n"}))["tests"]
    assert (tests.status, tests.code) == ("passed", "base_is_red")
    assert "password" not in tests.message


def test_a_quarantine_counts_in_proofs_and_groups(plain_platform: Platform, tmp_path: Path) -> None:
    platform, bad = plain_platform, tmp_path / "bad"
    luck = (
        f"\n\ndef test_password():\n    from pathlib import Path\n    bad = Path({str(bad)!r})\n"
        "    is_red = bad.exists()\n    if is_red and bad.read_text() == 'once':\n        bad.unlink()\n"
        "    assert not is_red\n"
    )
    files = {"index.html": "x\n", "page.txt": "Shop\n", "tests/test_page.py": SHOP + luck}
    project = platform.project(files, test_command=PYTEST, group_test_runs=1, **SECRET)
    bad.write_text("once")
    platform.ready(project, "Find the flaky test", {"readme": "x\n"})
    (found,) = platform.all(FlakyTest)
    assert "password" not in found.name
    flaky_tests.quarantine(project.id, found.name, days=7, reason="a slow clock", by=platform.max)
    push(platform, project, "other")
    bad.write_text("once")

    task = platform.approved(project, "Work", {"readme": "y\n"})

    tests = checks_of(platform, task)["tests"]
    assert (tests.code, tests.message) == (
        "quarantined_tests", f"The tests pass but for 1 in quarantine: {found.name}.",
    )  # fmt: skip
    bad.write_text("once")
    group = platform.group(task)
    platform.run_jobs()
    done = platform.get(TaskGroup, group.id)
    assert (done.state, [problem["kind"] for problem in done.problems]) == ("merged", ["quarantined"])


def test_a_new_secret_loses_no_test_of_the_commit_below(plain_platform: Platform) -> None:
    platform = plain_platform
    files = {"page.txt": "Shop\n", "tests/test_page.py": SHOP.replace("test_shop", "test_password")}
    project = platform.project(files, test_command=PYTEST)
    platform.ready(project, "Work", {"readme": "x\n"})

    projects.update_project(project.id, SECRET, by=platform.max)
    task = platform.task(project, "More work")
    platform.work(task, {"readme": "y\n"})

    assert checks_of(platform, task)["lost_tests"].message == "0 new, none lost."
