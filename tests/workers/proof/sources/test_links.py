"""Links to files of tests, to what defines how they run, and to lock files lead nobody astray."""

from __future__ import annotations

import pytest

from tests.providers.git_work_tree import git
from tests.workers.jobs.test_which_tests_ran import BROKEN, FILES, HOLLOW_PAGE, PYTEST, RED, checks_of, lost_names
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

MAKEFILE = "check:\n\tgrep -q Shop page.txt\n"


def test_what_links_of_the_base_lead_to_is_run_as_the_base_has_it(platform: Platform) -> None:
    project = platform.project({"page.txt": "Shop\n", "build/shop.mk": MAKEFILE}, test_command="make check")
    tree = platform.clone(project)
    (tree.path / "Makefile").symlink_to("build/shop.mk")
    tree.commit({}, on="main")
    tree.push("main")
    task = platform.task(project)
    platform.work(task, {"page.txt": "Market\n", "build/shop.mk": "check:\n\ttrue\n"})

    checks = checks_of(platform, task)
    assert (checks["tests"].status, checks["tests"].code) == ("failed", "tests_failed")
    assert (checks["test_setup"].code, checks["test_setup"].log) == ("test_setup_kept", "build/shop.mk")


def test_an_emptied_test_behind_a_link_is_refused(platform: Platform) -> None:
    task = platform.task(platform.project(FILES, test_command=PYTEST))
    claimed = platform.claim()
    tree, branch = platform.clone(claimed.project), claimed.task.branch_name
    git("checkout", "--quiet", "-B", branch, f"origin/{branch}", at=tree.path)
    git("rm", "--quiet", "tests/test_page.py", at=tree.path)
    (tree.path / "tests/test_page.py").symlink_to("../hollow.py")
    sha = tree.commit({**BROKEN, "hollow.py": HOLLOW_PAGE}, on=branch)
    tree.push(branch)
    platform.finish(claimed, sha)
    platform.run_jobs()

    assert set(RED) <= set(lost_names(checks_of(platform, task)["lost_tests"]))
