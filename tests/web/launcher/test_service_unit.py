"""The unit of systemd says what systemd understands, and installing it touches nothing else."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import stat
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from common.errors import Misconfigured
from web.cli.main import cli
from web.launcher import service_unit
from web.launcher.service_unit import Service, account_for, unit_of


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


def test_a_data_directory_of_nobody_here_asks_for_an_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a copy from another machine."""
    monkeypatch.setenv("AIWORKER_DATA_DIR", str(tmp_path))
    # As on a machine that does not know the user.
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)

    with pytest.raises(Misconfigured) as refused:
        account_for(tmp_path)
    assert str(refused.value) == (
        f"the owner of {tmp_path} has no account on this machine (uid {os.geteuid()}); name one with --account"
    )
    printed = CliRunner().invoke(cli, ["service", "install", "--system", "--account", "daemon", "--print"]).output
    assert parsed(printed)["Service"]["User"] == ["daemon"]


def test_a_user_without_a_home_is_told_so_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setenv("AIWORKER_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)

    refused = CliRunner().invoke(cli, ["service", "install", "--print"])

    assert str(refused.exception) == (
        "this user has no home for the service's files: set HOME, or add --system as root"
    )


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


def test_it_is_enabled_and_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A systemctl of the test's own writes down what it is asked."""
    asked = tmp_path / "asked"
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(f'#!/bin/sh\necho "$@" >>{asked}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    todo = service_unit.install(Service(tmp_path / "data", None), starts=True)
    service_unit.remove(Service(tmp_path / "data", None))

    assert asked.read_text().splitlines() == [
        "--user daemon-reload", "--user enable --now aiworker", "--user disable --now aiworker", "--user daemon-reload",
    ]  # fmt: skip
    assert [line.split()[0] for line in todo] == ["loginctl"]


def test_a_changed_unit_counts_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enabling it does not restart a service that runs."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    run = CliRunner().invoke

    said = [
        run(cli, ["service", "install", "--user", "--no-start"], env={"AIWORKER_DATA_DIR": f"/srv/{name}"}).output
        for name in ("first", "second", "second")
    ]

    assert ["Run: systemctl --user restart aiworker  # " in one for one in said] == [False, True, False]
