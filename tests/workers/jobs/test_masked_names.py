"""Tests whose names contain the value of a secret are known by their masked names, wherever they are compared."""

from __future__ import annotations

import pytest

from tests.workers.jobs.test_blame import PYTEST, SHOP
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

SECRET = {"secret_env_vars": {"DB_PASSWORD": "password"}}


def test_a_red_base_blames_no_task(platform: Platform) -> None:
    red = "\n\ndef test_password():\n    assert False\n"
    files = {"page.txt": "Shop\n", "tests/test_page.py": SHOP + red}
    project = platform.project(files, test_command=PYTEST, **SECRET)
    tests = checks_of(platform, platform.ready(project, "Work", {"readme": "x\n"}))["tests"]
    assert (tests.status, tests.code) == ("passed", "base_is_red")
    assert "password" not in tests.message
