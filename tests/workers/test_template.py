"""The workers of one machine share what their template has loaded: a fork that loads a library keeps it for itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
import workers.__main__
from common.masking import KNOWN_FORMATS
before = set(sys.modules)
KNOWN_FORMATS("a line of the log with AKIA and Authorization: Bearer x")
print(sorted(set(sys.modules) - before))
"""


def test_a_line_of_the_log_loads_nothing(tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin", "AIWORKER_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM]
    said = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout

    assert said == "[]\n"
