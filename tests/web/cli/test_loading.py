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
sys.argv = ["aiworker", sys.argv[1]]
try:
    main()
finally:
    print(*sys.modules)
"""


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_help_and_the_version_load_no_heavy_library(option: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, option], cwd=ROOT, capture_output=True, text=True, check=True
    )

    loaded = set(ended.stdout.splitlines()[-1].split())
    assert "click" in loaded
    assert {name for name in loaded if name.startswith(("common.", "web."))} <= {
        "common.errors", "web.cli", "web.cli.api_error", "web.cli.main"
    }  # fmt: skip
    assert loaded & HEAVY == set()


def test_the_help_has_each_commands_own_line() -> None:
    context = click.Context(cli)
    commands = {name: cli.get_command(context, name) for name in COMMANDS}

    assert {name: command and command.get_short_help_str(200).rstrip(".") for name, command in commands.items()} == {
        name: line for name, (_module, line) in COMMANDS.items()
    }
