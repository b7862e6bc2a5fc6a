"""What a report names for a file of tests that can't be loaded, or for what a class needs, is no test."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.workers.jobs.test_which_tests_ran import FILES, PAGE_TESTS, PYTEST, checks_of
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

CLASS = """import unittest
from pathlib import Path


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        bad = Path({bad!r})
        if bad.exists():
            bad.unlink()
            raise OSError("no database")

    def test_shop(self):
        pass
"""
BROKEN_TESTS = PAGE_TESTS.replace("import unittest", "import unittest\n\nimport colours")


@pytest.mark.parametrize("command", [PYTEST, f"{sys.executable} -m unittest -q", "node --test"])
def test_files_of_tests_that_could_not_be_loaded_can_be_mended(plain_platform: Platform, command: str) -> None:
    if command.startswith("node") and shutil.which("node") is None:
        pytest.skip("needs node")
    platform = plain_platform
    script = "const shop = require('./shop.js');\nrequire('node:test')('opens', () => shop());\n"
    files = {**FILES, "tests/test_page.py": BROKEN_TESTS, "page.test.js": script}
    project = platform.project(files, test_command=command)
    mended = {"colours.py": "", "shop.js": "module.exports = () => 1;\n"}
    assert checks_of(platform, platform.ready(project, "Mend", mended))["lost_tests"].status == "passed"


def test_what_a_class_needs_may_fail_once_without_being_a_new_test(plain_platform: Platform, tmp_path: Path) -> None:
    platform = plain_platform
    text = CLASS.format(bad=str(tmp_path / "bad"))
    project = platform.project({"test_page.py": text}, test_command=f"{sys.executable} -m unittest -q")
    (tmp_path / "bad").write_text("x")

    checks = checks_of(platform, platform.ready(project, "Work", {"readme": "x\n"}))
    assert (checks["tests"].status, checks["tests"].code) == ("passed", "flaky_tests")
