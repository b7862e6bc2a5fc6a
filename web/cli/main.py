"""The command `aiworker`: start the platform, administer it, and use it from a terminal.

A command's module is loaded when the command is called: with all of them, `aiworker --version` would take seconds. An
error prints one line with its remedy and exits with status 1; what was typed wrong, with 2.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from common.errors import Busy, CallerError, Misconfigured, NotFound
from common.machine.imports_without_gc import without_garbage_collection
from web import VERSION
from web.cli.api_error import ApiError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "agent": ("agent", "Run an agent on this machine; see `aiworker agent --help`"),
    "audit": ("audit", "The audit: who did what, sealed, so that nobody can change it unnoticed"),
    "backup": ("backup", "Write everything of this platform into one encrypted file, while it runs"),
    "completion": ("completion", "Print the script that completes commands in bash, zsh or fish"),
    "db": ("database", "The database's schema"),
    "deploy": ("group", "Deploy a group to staging or production"),
    "deployments": ("group", "List the deployments of a project, newest first"),
    "doctor": ("doctor", "Check the installation and print a remedy for each problem"),
    "drivers": ("drivers", "List the drivers that have a program, with what is found on this machine"),
    "group": ("group", "Task groups: approved tasks that are deployed together"),
    "init": ("init", "Link this git repository to a project; only its .git/config is written"),
    "login": ("login", "Log in to a platform; later commands use it"),
    "logout": ("login", "Log out: revoke the token that login made, and forget it"),
    "open": ("open_page:open_page", "Open the page of a task, a group or the project in the browser"),
    "project": ("project", "Projects: a repository with its tasks and environments"),
    "public-key": ("public_key:print_public_key", "Print the public key that receipts and the audit are checked with"),
    "restore": ("backup", "Put a backup into the data directory and the database that the environment names"),
    "rollback": ("group", "Go back to an older healthy version, of production unless staging is named"),
    "secret-key": ("secret_key:secret_key", "The secret key, which seals what is stored and signs logins"),
    "service": ("service", "The platform as a service of systemd"),
    "spend": ("spend", "Show what the models have cost, with the total in the last line"),
    "task": ("task", "Tasks: written by people, done by agents"),
    "token": ("database", "API tokens, directly in the database"),
    "up": ("up", "Run the whole platform in the foreground, until Ctrl-C"),
    "use": ("login", "List the instances that you are logged in to, or make one of them the current one"),
    "user": ("database", "Users, directly in the database"),
    "verify": ("verify", "Check the receipt of a production commit, without the platform"),
    "watch": ("watch", "Print events as they happen, one line each"),
    "whoami": ("login", "Show which platform commands talk to, as whom, and why"),
}
"""The module in web.cli.commands of each command, where it has the same name unless another follows.

Its line in the help.
"""

COMPLETES = "_AIWORKER_COMPLETE"
"""The variable that a shell sets when it asks for completions."""

WITHOUT_JSON = {"agent", "completion", "service", "up"}
"""Commands that print nothing for programs."""

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _LazyCommands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _colon, name = COMMANDS[cmd_name][0].partition(":")
        with nullcontext() if f"web.cli.commands.{module}" in sys.modules else without_garbage_collection():
            command: click.Command = getattr(importlib.import_module(f"web.cli.commands.{module}"), name or cmd_name)
        if cmd_name not in WITHOUT_JSON:
            _take_json(command)
        if COMPLETES in os.environ:
            importlib.import_module("web.cli.id_completion").complete_ids(command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # As click does, but without loading every command.
        item = importlib.import_module("click.shell_completion").CompletionItem
        found = [item(name, help=line) for name, (_module, line) in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, f"{line}.") for name, (_module, line) in COMMANDS.items()])


def _take_json(command: click.Command) -> None:
    """Let the command and those in it take --json too, not only the program before them. Safe to repeat."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _take_json(inner)
        if not command.invoke_without_command:
            return
    if not any("--json" in parameter.opts for parameter in command.params):
        command.params.append(
            click.Option(["--json"], is_flag=True, expose_value=False, callback=_set_json, help="Print JSON.")
        )


def _set_json(context: click.Context, _parameter: click.Parameter, is_given: bool) -> None:
    if is_given:
        context.find_root().obj.is_json = True


@click.group(cls=_LazyCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--url", help="Address or login of the platform. Default: AIWORKER_URL, your login, this machine.")
@click.option("--token", help="API token. Default: AIWORKER_TOKEN, your login; not needed on the platform's machine.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.version_option(VERSION)
@click.pass_context
def cli(context: click.Context, url: str | None, token: str | None, is_json: bool) -> None:
    """AiWorker, a self-hosted control plane for AI coding agents."""
    context.obj = importlib.import_module("web.cli.terminal").Terminal(url, token, is_json=is_json)


def main() -> None:
    """Run the program. Errors that the user can fix are printed without a traceback."""
    _open_closed_streams()
    _accept_undecodable_input()
    _replace_unencodable_output()
    try:
        code = cli.main(prog_name="aiworker", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except click.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            sys.exit(130)
        # Somebody said no, or the input ended before the question.
        click.echo("aiworker: nothing was done", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of the output has ended, as `head` does.
        discard_output()
        sys.exit(1)
    except OSError as error:
        # Most likely the output goes to a file on a full disk.
        if error.errno not in _UNWRITABLE:
            raise
        discard_output()
        click.echo(f"aiworker: can't write: {error.strerror}", err=True)
        sys.exit(1)
    except NotFound as error:
        # Its message only names what is missing.
        click.echo(f"aiworker: there is no {error}", err=True)
        sys.exit(1)
    except (Misconfigured, ApiError, CallerError) as error:
        click.echo(f"aiworker: {error}", err=True)
        sys.exit(1)
    except Busy as error:
        click.echo(f"aiworker: {error}; try again in a moment, or run: aiworker doctor", err=True)
        sys.exit(1)


def _open_closed_streams() -> None:
    """Open /dev/null for each standard stream that the shell closed. The next file would get its number otherwise."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _accept_undecodable_input() -> None:
    """Read bytes that are not of the input's encoding as Python reads those of arguments: what is done with the text
    refuses them in one line.
    """
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")


def _replace_unencodable_output() -> None:
    """Print `?` for what the output's encoding does not have. Python does so for standard error alone."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


def discard_output() -> None:
    """Discard the rest of the output, also what Python writes while it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
