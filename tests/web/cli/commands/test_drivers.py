"""`aiworker drivers`: what is on this machine, and a refusal of what can't be installed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.web.cli.test_main import aiworker

NAMES = ["claude", "codex", "gemini", "opencode", "qwen"]


def test_the_list_says_what_is_there_and_the_remedy_for_the_rest(tmp_path: Path) -> None:
    place = tmp_path / "drivers" / "claude" / "2.1.331" / "bin" / "claude"
    place.parent.mkdir(parents=True)
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    environ = {"AIWORKER_DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}

    rows = json.loads(aiworker("--json", "drivers", **environ))["drivers"]
    lines = aiworker("drivers", **environ).splitlines()

    assert [row["name"] for row in rows] == NAMES
    assert (rows[0]["canWork"], rows[0]["version"], rows[0]["api"]) == (True, "2.1.331", "anthropic")
    assert lines[0] == f"claude  true  2.1.331  version 2.1.331 at {place}"
    assert lines[1] == "codex  false  -  codex is not installed; install it with: aiworker drivers install codex"


def test_what_is_no_driver_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    said = aiworker("drivers", "install", "nonsense", code=1, AIWORKER_DATA_DIR=str(tmp_path))
    assert said.endswith("choose one of: claude, codex, gemini, opencode, qwen")
    assert list(tmp_path.glob("drivers/*")) == []
