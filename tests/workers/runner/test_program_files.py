"""What of this machine a program's sandbox shows so that it can be started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.workers.runner.drivers.cli_runs import run_program
from workers.runner.drivers.command import CommandDriver
from workers.runner.drivers.program import Work
from workers.runner.program_files import program_files

LONG = "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n"


class Installed:
    """A script as pipx and uv install it: a link in one folder to a script of a virtual environment elsewhere."""

    def __init__(self, folder: Path, *, python: Path, name: str = "tool", first: str = "#!{python}\n") -> None:
        self.environment = folder / name
        binaries = self.environment / "bin"
        binaries.mkdir(parents=True)
        (self.environment / "lib").mkdir()
        (self.environment / "pyvenv.cfg").write_text(f"home = {python.parent}\n")
        (binaries / "python").symlink_to(python)
        script = binaries / "agent"
        script.write_text(first.format(python=binaries / "python") + "import sys\nprint('works with', sys.prefix)\n")
        script.chmod(0o755)
        self.command = folder / "local" / "bin" / "agent"
        self.command.parent.mkdir(parents=True)
        self.command.symlink_to(script)


@pytest.mark.parametrize(("name", "first"), [("tool", "#!{python}\n"), ("a tool", LONG)])
def test_a_command_of_a_virtual_environment_starts_in_its_sandbox(name: str, first: str, tmp_path: Path) -> None:
    installed = Installed(tmp_path / "tools", python=Path(sys.executable).resolve(), name=name, first=first)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    command = str(installed.command)

    ran = run_program(CommandDriver(), Work("Go.", workspace, tmp_path / "home", None, None, None, command, (command,)))

    assert ran.texts == [f"works with {installed.environment}"], ran.stderr


def test_the_python_behind_a_virtual_environment_is_shown_by_each_of_its_names(tmp_path: Path) -> None:
    whole = tmp_path / "pythons" / "cpython-3.12.7"
    for folder in ("bin", "lib"):
        (whole / folder).mkdir(parents=True)
    (whole / "bin" / "python3.12").touch()
    newest = tmp_path / "pythons" / "cpython-3.12"
    newest.symlink_to(whole)
    installed = Installed(tmp_path / "tools", python=newest / "bin" / "python3.12")

    shown = program_files([str(installed.command)], hidden=())

    assert {installed.environment, whole, newest} <= set(shown)
    assert not {tmp_path, tmp_path / "tools", tmp_path / "pythons"} & set(shown)


def test_an_environment_with_a_private_folder_in_it_is_not_shown_as_a_whole(tmp_path: Path) -> None:
    installed = Installed(tmp_path / "tools", python=Path(sys.executable).resolve())
    private = installed.environment / "data"
    private.mkdir()

    shown = program_files([str(installed.command)], hidden=[private])

    assert not any(private.is_relative_to(place) for place in shown)
