"""What the command loads: its help and its version need none of the platform's libraries."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from tests.servers import ROOT
from web.cli.main import COMMANDS, cli

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
        "common.errors", "common.machine", "common.machine.lasting", "web.cli", "web.cli.api_error", "web.cli.main"
    }  # fmt: skip
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("words", [("task", "list"), ("project", "list"), ("group", "show", "1"), ("watch",)])
def test_a_command_that_calls_the_api_loads_a_client_and_no_platform(words: tuple[str, ...]) -> None:
    loaded = loaded_by("--url", "http://127.0.0.1:9", "--token", "awt_any", *words, status=1)

    assert loaded & HEAVY == {"requests"}


def test_an_agent_loads_nothing_of_the_platform_before_it_is_the_runner() -> None:
    loaded = loaded_by("agent", "--help", before="import os; os.execv = print")

    assert loaded & HEAVY == set()


def test_the_help_has_each_commands_own_line() -> None:
    context = click.Context(cli)
    commands = {name: cli.get_command(context, name) for name in COMMANDS}

    assert {name: command and command.get_short_help_str(200).rstrip(".") for name, command in commands.items()} == {
        name: line for name, (_module, line) in COMMANDS.items()
    }
