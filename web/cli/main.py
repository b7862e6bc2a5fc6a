"""The command `aiworker`: start the platform, administer it, and use it from a terminal.

A command's module is loaded when the command is called: with all of them, `aiworker --version` would take seconds. An
error prints one line with its remedy and exits with status 1.
"""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import nullcontext

import click

from common.errors import Busy, CallerError, Misconfigured
from common.machine.lasting import lasting
from web import VERSION
from web.cli.api_error import ApiError

COMMANDS = {
    "agent": ("agent_command", "Run an agent on this machine; see `aiworker agent --help`"),
    "backup": ("backup_commands", "Write everything of this platform into one encrypted file, while it runs"),
    "db": ("database_commands", "The database's schema"),
    "doctor": ("doctor_command", "Check the installation and print a remedy for each problem"),
    "drivers": ("drivers", "List the drivers that have a program, with what is found on this machine"),
    "group": ("commands", "Task groups: approved tasks that are deployed together"),
    "project": ("commands", "Projects: a repository with its tasks and environments"),
    "restore": ("backup_commands", "Put a backup into the data directory and the database that the environment names"),
    "service": ("service_commands", "The platform as a service of systemd"),
    "task": ("commands", "Tasks: written by people, done by agents"),
    "token": ("database_commands", "API tokens, directly in the database"),
    "up": ("up_command", "Run the whole platform in the foreground, until Ctrl-C"),
    "user": ("database_commands", "Users, directly in the database"),
    "watch": ("watch", "Print events as they happen, one line each"),
}
"""The module in web.cli of each command, where it has the same name, and its line in the help."""


class _LateCommands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _help = COMMANDS[cmd_name]
        with nullcontext() if f"web.cli.{module}" in sys.modules else lasting():
            command: click.Command = getattr(importlib.import_module(f"web.cli.{module}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, f"{line}.") for name, (_module, line) in COMMANDS.items()])


@click.group(cls=_LateCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--url", help="Address of the platform. Default: AIWORKER_URL, else the platform on this machine.")
@click.option("--token", help="API token. Default: AIWORKER_TOKEN; not needed on the platform's machine.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.version_option(VERSION)
@click.pass_context
def cli(context: click.Context, url: str | None, token: str | None, is_json: bool) -> None:
    """AiWorker, a self-hosted control plane for AI coding agents."""
    context.obj = importlib.import_module("web.cli.terminal").Terminal(url, token, is_json=is_json)


def main() -> None:
    """Run the program. Errors that the user can fix are printed without a traceback."""
    try:
        code = cli.main(prog_name="aiworker", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # The reader of the output has ended, as `head` does: print nothing more, not even while exiting.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (Misconfigured, ApiError, CallerError) as error:
        click.echo(f"aiworker: {error}", err=True)
        sys.exit(1)
    except Busy as error:
        click.echo(f"aiworker: {error}; try again in a moment, or run: aiworker doctor", err=True)
        sys.exit(1)
