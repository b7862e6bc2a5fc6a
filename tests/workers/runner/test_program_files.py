"""What of this machine a program's sandbox shows so that it can be started."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize("first", ["#!/usr/bin/env python3\n", "#!\n", "#! python\n", "\x7fELF\n", ""])
def test_only_an_interpreter_named_by_its_path_is_looked_for(first: str, tmp_path: Path) -> None:
    script = tmp_path / "agent"
    script.write_text(first)

    assert program_files([str(script)], hidden=()) == (script,)


def test_links_that_lead_to_each_other_end_the_search(tmp_path: Path) -> None:
    ring = [tmp_path / "ring" / name for name in ("one", "two")]
    ring[0].parent.mkdir()
    os.symlink(ring[1], ring[0])
    os.symlink(ring[0], ring[1])
    script = tmp_path / "scripts" / "agent"
    script.parent.mkdir()
    script.write_text(f"#!{ring[0]}\n")

    assert script in program_files([str(script)], hidden=())


def test_a_pipe_among_the_words_of_a_command_is_not_read(tmp_path: Path) -> None:
    """As /dev/stdin, from which some programs are told to read the prompt."""
    pipe, said = tmp_path / "pipe", b"#!/usr/bin/python3\nmore\n"
    os.mkfifo(pipe)
    both_ends = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(both_ends, said)

        program_files(["/usr/bin/cat", str(pipe)], hidden=())

        assert os.read(both_ends, len(said)) == said
    finally:
        os.close(both_ends)
