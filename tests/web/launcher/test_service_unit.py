"""The unit of systemd says what systemd understands, and installing it touches nothing else."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from web.cli.main import cli
from web.launcher import service_unit
from web.launcher.service_unit import Service, unit_of


def parsed(unit: str) -> dict[str, dict[str, list[str]]]:
    """Each section's settings; a setting may be there several times."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in unit.splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name, value = line.split("=", 1)
            section.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("account", [None, "root"])
def test_the_unit_starts_this_installation(
    account: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/opt/100% mine/bin:/usr/bin")
    unit = unit_of(Service(Path("/srv/our data/aiworker"), account))

    sections = parsed(unit)
    RawConfigParser(strict=False).read_string(unit)
    service = sections["Service"]
    assert shlex.split(service["ExecStart"][0]) == [sys.executable, "-P", "-m", "web.cli", "up"]
    assert [shlex.split(line)[0] for line in service["Environment"]] == [
        "AIWORKER_DATA_DIR=/srv/our data/aiworker", "PATH=/opt/100%% mine/bin:/usr/bin",
    ]  # fmt: skip
    assert service.get("User") == (None if account is None else ["root"])
    assert sections["Install"]["WantedBy"] == ["default.target" if account is None else "multi-user.target"]
    assert service["Restart"] == ["on-failure"]
    assert complaints(unit, tmp_path, account) == []


def complaints(unit: str, folder: Path, account: str | None) -> list[str]:
    """What systemd says against the unit, where it is installed; it may complain of the machine's own units, too."""
    if shutil.which("systemd-analyze") is None:
        return []
    (folder / service_unit.UNIT).write_text(unit)
    manager = ["--user"] if account is None else []
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *manager, folder / service_unit.UNIT],
        capture_output=True, text=True, check=False, env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
    )  # fmt: skip
    return [line for line in checked.stderr.splitlines() if service_unit.UNIT in line]


def test_installing_writes_the_unit_and_a_file_for_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("AIWORKER_DATA_DIR", "/srv/aiworker")
    run = CliRunner().invoke

    printed = run(cli, ["service", "install", "--user", "--print"])
    assert printed.exit_code == 0
    assert list(tmp_path.iterdir()) == []

    said = run(cli, ["service", "install", "--user", "--no-start"]).output
    unit, kept = tmp_path / "systemd/user/aiworker.service", tmp_path / "aiworker/service.env"
    assert unit.read_text() == printed.output
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert all(line.startswith("#") for line in kept.read_text().splitlines())
    assert "Run: systemctl --user enable --now aiworker" in said
    kept.write_text("AIWORKER_PORT=4000\n")
    assert run(cli, ["service", "install", "--user", "--no-start"]).exit_code == 0
    assert kept.read_text() == "AIWORKER_PORT=4000\n"

    assert f"{unit} is removed" in run(cli, ["service", "remove", "--user"]).output
    assert not unit.exists()
    assert kept.exists()
    assert "There is no" in run(cli, ["service", "remove", "--user"]).output
