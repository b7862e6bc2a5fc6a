"""The version that the command tells."""

from __future__ import annotations

import tomllib

from tests.servers import ROOT
from tests.web.cli.test_main import aiworker


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert aiworker("--version") == f"aiworker, version {project['version']}"
