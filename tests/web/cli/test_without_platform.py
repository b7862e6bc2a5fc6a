"""Commands in a folder where there is no platform: they say where they looked, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.long_waits import LONG_WAIT_SECONDS

ROOT = Path(__file__).parents[3]
NAMES = ("DATA_DIR", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "URL", "TOKEN")


EACH = """
import sys
from web.cli import main
for line in sys.argv[1:]:
    sys.argv = ["aiworker", *line.split()]
    if line == "doctor":
        from tests.web.doctor.patient_doctor import wait_longer
        wait_longer()
    try:
        main.main()
    except SystemExit as ended:
        print(f"status {ended.code or 0}", file=sys.stderr)
"""


def aiworker(folder: Path, *commands: str, code: int = 0, before: Sequence[str] = (), **environ: str) -> list[str]:
    """What the commands say in the folder, one after the other; each must end with this exit status.

    before: the beginning of the command line. In a process of their own, whose folder is not this one's: threads of
    other tests may make folders wherever it is.
    """
    ended = subprocess.run(
        [*before, sys.executable, "-c", EACH, *commands],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LONG_WAIT_SECONDS, check=True,
    )  # fmt: skip
    said = ended.stdout.split(f"status {code}\n")
    assert len(said) == len(commands) + 1, ended.stdout
    assert said.pop() == ""
    return said


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with an environment that names no platform."""
    for name in NAMES:
        monkeypatch.delenv(f"AIWORKER_{name}", raising=False)
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("url", [None, "http://127.0.0.1:9"])
def test_a_client_without_a_token_says_where_it_looked(
    empty: Path, monkeypatch: pytest.MonkeyPatch, url: str | None
) -> None:
    if url is not None:
        monkeypatch.setenv("AIWORKER_URL", url)

    for said in aiworker(
        empty, "project list", "task list", "watch", "task add x", "task show 12345678", "group list", "deploy staging",
        "rollback", "spend", "deployments", "whoami", "open 12345678", code=1,
    ):  # fmt: skip
        assert f"there is no platform here: no database at {empty}/.aiworker/aiworker.db" in said
        assert "AIWORKER_URL and AIWORKER_TOKEN" in said
    assert list(empty.iterdir()) == []


@pytest.mark.slow
def test_a_client_with_a_token_needs_nothing_here(empty: Path) -> None:
    (said,) = aiworker(empty, "--token aiw_x task list", code=1, AIWORKER_PORT="9")

    assert "http://127.0.0.1:9 can't be reached" in said
    # With an address too, what this machine's platform is set to does not matter.
    (said,) = aiworker(
        empty, "--token aiw_x --url http://127.0.0.1:9 task list", code=1, AIWORKER_DATABASE_URL="oracle://x"
    )
    assert "http://127.0.0.1:9 can't be reached" in said
    assert list(empty.iterdir()) == []
