"""What of this machine a program's sandbox shows so that it can be started."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.workers.runner.drivers.cli_runs import run_program
from workers.runner.drivers.command import CommandDriver
from workers.runner.drivers.program import Work
from workers.runner.programs.program_files import program_files


class Installed:
    """A script as pipx and uv install it: a link in one folder to a script of a virtual environment elsewhere."""

    def __init__(self, folder: Path, *, python: Path) -> None:
        self.environment = folder / "tool"
        binaries = self.environment / "bin"
        binaries.mkdir(parents=True)
        (self.environment / "lib").mkdir()
        (self.environment / "pyvenv.cfg").write_text(f"home = {python.parent}\n")
        (binaries / "python").symlink_to(python)
        script = binaries / "agent"
        script.write_text(f"#!{binaries}/python\nimport sys\nprint('works with', sys.prefix)\n")
        script.chmod(0o755)
        self.command = folder / "local" / "bin" / "agent"
        self.command.parent.mkdir(parents=True)
        self.command.symlink_to(script)


def test_a_command_of_a_virtual_environment_starts_in_its_sandbox(tmp_path: Path) -> None:
    installed = Installed(tmp_path / "tools", python=Path(sys.executable).resolve())
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    command = str(installed.command)

    ran = run_program(CommandDriver(), Work("Go.", workspace, tmp_path / "home", None, None, None, command, (command,)))

    assert ran.texts == [f"works with {installed.environment}"], ran.stderr


def test_an_environment_with_a_private_folder_in_it_is_not_shown_as_a_whole(tmp_path: Path) -> None:
    installed = Installed(tmp_path / "tools", python=Path(sys.executable).resolve())
    private = installed.environment / "data"
    private.mkdir()

    shown = program_files([str(installed.command)], hidden=[private])

    assert not any(private.is_relative_to(place) for place in shown)
