"""Where a program is looked for, and what is said of one that will not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.machine.programs.search import WantedProgram, find_program

WANTED = WantedProgram("toy", "2.1.0", "TOY_PATH", "install toy")


def _program(path: Path, script: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture(autouse=True)
def _only_this_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")


def test_nothing_is_found_with_the_remedy(tmp_path: Path) -> None:
    found = find_program(WANTED, folder=tmp_path / "none")
    assert (found.is_usable, found.path) == (False, "")
    assert found.says == "toy is not installed; install it with: install toy"


def test_the_newest_installed_one_comes_before_the_path(tmp_path: Path) -> None:
    _program(tmp_path / "bin" / "toy", "echo 3.0.0")
    for version in ("2.9.0", "2.10.0", "1.0.0"):
        _program(tmp_path / "drivers" / "toy" / version / "bin" / "toy", "exit 1")
    (tmp_path / "drivers" / "toy" / ".9.9.9.new" / "bin").mkdir(parents=True)

    found = find_program(WANTED, folder=tmp_path / "drivers")
    assert (found.is_usable, found.version) == (True, "2.10.0")
    assert found.path == str(tmp_path / "drivers" / "toy" / "2.10.0" / "bin" / "toy")


def test_one_on_the_path_is_asked_and_sees_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary")
    path = _program(tmp_path / "bin" / "toy", 'echo "toy-cli 2.1 ${ANTHROPIC_API_KEY}" | tee $(dirname $0)/said')

    assert find_program(WANTED, folder=None).says == f"version 2.1.0 at {path}"
    assert "canary" not in (tmp_path / "bin" / "said").read_text()
