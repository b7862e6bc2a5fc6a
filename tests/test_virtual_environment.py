"""`.ci/venv`, with which every `make` begins: what was interrupted is made anew, and two of them take turns."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.long_waits import LONG_WAIT_SECONDS
from tests.servers import ROOT

LOCKS = ("requirements.lock", "requirements-dev.lock")
SLOW_PYTHON = """#!/bin/bash
# Tells when a virtual environment is being made.
if [[ $1 != -m ]]; then exec "{python}" "$@"; fi
echo begins >>"{log}"
"{python}" "$@"
status=$?
echo ends >>"{log}"
exit $status
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose lock files name no package."""
    folder = tmp_path / "checkout"
    (folder / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci/venv", folder / ".ci/venv")
    for name in LOCKS:
        (folder / name).write_text("# nothing\n")
    return folder


PROGRAMS = (
    "mariadbd", "psql", "redis-server", "chromium", "chromium-headless-shell", "kubectl", "node", "npm", "bwrap",
    "slirp4netns", "busybox", "curl", "less", "openssl",
)  # fmt: skip


def test_drivers_are_installed_into_an_environment_that_is_there(checkout: Path, tmp_path: Path) -> None:
    """A development container has the packages installed first, by root."""
    shutil.copy(ROOT / ".ci/packages", checkout / ".ci/packages")
    (checkout / "common/values/runs").mkdir(parents=True)
    (checkout / "common/values/runs/drivers.py").touch()
    there = tmp_path / "there"
    there.mkdir()
    for name in PROGRAMS:
        (there / name).symlink_to("/bin/true")

    ended = subprocess.run(
        [checkout / ".ci/packages"], cwd=tmp_path, env={"PATH": f"{there}:/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def begun(checkout: Path, lock: str, python: str = sys.executable) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if name != "VENV"}
    return subprocess.Popen(
        [checkout / ".ci/venv", lock], env={**environ, "PYTHON": python},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_an_environment_whose_making_was_interrupted_is_made_anew(checkout: Path) -> None:
    # As far as Python comes before it installs pip, which takes most of the time.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)

    said, _ = begun(checkout, LOCKS[0]).communicate(timeout=LONG_WAIT_SECONDS)

    assert "Making the virtual environment .venv with " in said
    assert "could not be installed" not in said
    assert (checkout / ".venv/bin/aiworker").exists()
    # From here on there is nothing to do.
    assert begun(checkout, LOCKS[0]).communicate(timeout=LONG_WAIT_SECONDS) == ("", None)


def test_two_makes_for_different_lock_files_take_turns(checkout: Path, tmp_path: Path) -> None:
    python, log = tmp_path / "python", tmp_path / "log"
    python.write_text(SLOW_PYTHON.format(python=sys.executable, log=log))
    python.chmod(0o755)

    both = [begun(checkout, lock, str(python)) for lock in LOCKS]
    said = [one.communicate(timeout=LONG_WAIT_SECONDS)[0] for one in both]

    assert [one.returncode for one in both] == [0, 0], said
    assert log.read_text().split() == ["begins", "ends"]
