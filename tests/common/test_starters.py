"""What new repositories start with: their tests run and are green, and the sample's tasks do what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from common.values.delivery.starter_files import STARTERS


def output_of_tests(folder: Path) -> str:
    """What the tests in the folder print; they are green."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", "import sys; sys.path.insert(0, ''); import unittest; "
         "unittest.main(module=None)"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("name", STARTERS)
def test_a_starter_has_tests_that_test_it(tmp_path: Path, name: str) -> None:
    starter = STARTERS[name]
    for file, text in starter.files.items():
        (tmp_path / file).write_text(text)

    assert "Ran 0 tests" not in output_of_tests(tmp_path)
    assert starter.test_command == "python3 -m unittest"
    assert starter.start_command.split()[-1] in starter.files
