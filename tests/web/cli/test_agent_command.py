"""`aiworker agent`: becomes the runner, wherever it is called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.servers import ROOT

pytestmark = pytest.mark.slow


def test_an_agent_is_the_runner_with_its_own_arguments(tmp_path: Path) -> None:
    """Also in a folder whose packages have the names of ours."""
    for package in ("common", "workers"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")

    said = subprocess.run(
        [sys.executable, "-P", "-m", "web.cli", "agent", "--help"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=PATIENCE_SECONDS, check=True,
    ).stdout  # fmt: skip

    assert "--token-file" in said
