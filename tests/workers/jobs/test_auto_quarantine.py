"""Flakes that proofs find, and the project's rule that puts tests into quarantine."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.models import FlakyTest, Project
from common.services.proof.project_tests import read_tests
from tests.workers.jobs.test_blame import FILES, LUCK, PYTEST, SHOP, flaky
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

RULE = {"commits": 2, "days": 7, "owner": "max"}


def project_of(platform: Platform, tests: str) -> Project:
    return platform.project({**FILES, "tests/test_page.py": tests}, test_command=PYTEST, auto_quarantine=RULE)


def in_quarantine(platform: Platform, project: Project) -> list[str]:
    known = read_tests(project.id, by=platform.max).flaky
    return [test.name for test in known if test.is_quarantined_by_rule]


def test_flakes_in_the_proofs_of_two_tasks_lead_to_a_quarantine(platform: Platform, tmp_path: Path) -> None:
    # Of each proof the first run, which is repeated twice; the fourth is that of the commit below.
    project = project_of(platform, SHOP + flaky(tmp_path / "luck", "158"))
    first = platform.ready(project, "Work", {"readme": "x\n"})
    assert (checks_of(platform, first)["tests"].code, in_quarantine(platform, project)) == ("flaky_tests", [])

    second = platform.ready(project, "More work", {"readme": "y\n"})
    assert (checks_of(platform, second)["tests"].code, in_quarantine(platform, project)) == ("flaky_tests", [LUCK])

    third = platform.ready(project, "Even more work", {"readme": "z\n"})
    tests = checks_of(platform, third)["tests"]
    assert (tests.code, tests.message) == ("quarantined_tests", f"The tests pass but for 1 in quarantine: {LUCK}.")
    (row,) = platform.all(FlakyTest, FlakyTest.project_id == project.id)
    assert (row.flaked_on, row.ran_on, row.failed_in_quarantine) == (2, 4, 1)
