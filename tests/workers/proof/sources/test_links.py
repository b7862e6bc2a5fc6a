"""Links to files of tests, to what defines how they run, and to lock files lead nobody astray."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.settings import settings
from tests.providers.git_work_tree import git
from tests.providers.test_advisories import advisory, write
from tests.workers.jobs.test_which_tests_ran import BROKEN, FILES, HOLLOW_PAGE, PYTEST, RED, checks_of, lost_names
from tests.workers.platform import Platform
from tests.workers.proof.scans.test_checks import leaks, places_in, secrets_check

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


def test_what_links_hold_and_lead_to_is_scanned(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "osv", advisory())
    monkeypatch.setenv("AIWORKER_ADVISORIES", str(tmp_path / "osv"))
    settings.cache_clear()
    task = platform.task(platform.project({"app.py": "PORT = 80\n"}, dependency_scan="refuse", secret_scan="warn"))
    claimed = platform.claim()
    tree, branch = platform.clone(claimed.project), claimed.task.branch_name
    git("checkout", "--quiet", "-B", branch, f"origin/{branch}", at=tree.path)
    (tree.path / "requirements.txt").symlink_to("deps/pinned")
    (tree.path / "note").symlink_to(f"key={leaks()['AWS Access Key']}")
    sha = tree.commit({"deps/pinned": "requests==2.19.0\n"}, on=branch)
    tree.push(branch)

    platform.finish(claimed, sha)
    platform.run_jobs()

    assert places_in(secrets_check(platform, task)) == {("AWS Access Key", "note, line 1")}
    check = checks_of(platform, task)["dependencies"]
    assert check.code == "known_faults"
    assert check.log == "GHSA-1 of requests 2.19.0 (PyPI): requirements.txt: Leaks a header"
