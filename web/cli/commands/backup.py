"""`aiworker backup` and `aiworker restore`: the commands of web/launcher/backup/making.py and restore.py."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click

from common.errors import Misconfigured
from common.settings import settings
from common.settings.environment import Environment
from common.settings.platform_address import read_platform_address
from web.cli.main import discard_output
from web.cli.operators import operator, operator_session
from web.cli.tables import counted
from web.cli.terminal import Terminal, pass_terminal
from web.launcher.backup.backup_file import SHORTEST_PASSPHRASE, read_heading
from web.launcher.backup.making import Contents, stream_backup, write_backup
from web.launcher.backup.restoring import check_backup, restore_backup

_BETWEEN_SECONDS = 0.2
"""How often the progress is written anew on a terminal."""


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@pass_terminal
def backup(terminal: Terminal, file: Path) -> None:
    """Write everything of this platform into one encrypted file, while it runs.

    In FILE are the database, the secret key, the local repositories, kept sessions and the ports of apps, as they are
    at one moment. Not in it are the environment's settings, and repositories on Gitea: back those up too.

    The passphrase is read from AIWORKER_BACKUP_PASSPHRASE, or the file that AIWORKER_BACKUP_PASSPHRASE_FILE names, or
    asked for. Without it, a backup can't be read by anybody. With - as FILE, the backup goes to standard output.
    """
    if str(file) == "-":
        _to_standard_output()
        return
    with operator_session():
        operator()
        contents = write_backup(file, _passphrase(is_new=True), settings(), _Shown())
    _say(terminal, contents, f"The backup is in {file}", file=str(file))


def _to_standard_output() -> None:
    if sys.stdout.isatty():
        raise Misconfigured("a backup is nothing to look at; send it to a file or a program: aiworker backup - >FILE")
    with operator_session():
        operator()
        try:
            contents = stream_backup(sys.stdout.buffer, _passphrase(is_new=True), settings(), _Shown())
        except BrokenPipeError:
            raise
        except OSError as error:
            discard_output()
            raise Misconfigured(f"the backup can't be written: {error.strerror}") from error
    click.echo(f"Written: {_told(contents)}", err=True)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only check that the backup is whole and the passphrase right.")
@click.option(
    "--replace", is_flag=True, help="Replace existing data: files are moved aside, a server's tables removed."
)
@pass_terminal
def restore(terminal: Terminal, file: Path, check: bool, replace: bool) -> None:
    """Put a backup into the data directory and the database that the environment names.

    Stop the platform first. Everything is checked before anything is written. The database may be of another kind than
    the one that was backed up. Passphrase: see `aiworker backup --help`.
    """
    try:
        source = file.open("rb")
    except OSError as error:
        raise Misconfigured(f"{file} can't be read: {error.strerror}") from error
    with source:
        if not source.seekable():
            raise Misconfigured(f"{file} can be read only once, and a backup is read several times; save it to a file")
        heading = read_heading(source)
        click.echo(f"Backup of {heading.created_at}, by version {heading.version}.", err=True)
        passphrase = _passphrase(is_new=False)
        if check:
            contents = check_backup(source, passphrase, _Shown()).contents
            _say(terminal, contents, "The backup is whole", file=str(file))
            return
        place = read_platform_address()
        place.require_open("set AIWORKER_DATA_DIR")
        with operator_session():
            contents, aside = restore_backup(source, passphrase, place, _Shown(), replaces=replace)
    _say(terminal, contents, f"Restored into {place.data_dir}", file=str(file))
    if aside is not None:
        click.echo(f"What was there is in {aside}.", err=True)


def _passphrase(*, is_new: bool) -> str:
    given = Environment(os.environ).text("AIWORKER_BACKUP_PASSPHRASE")
    if given is None:
        if not sys.stdin.isatty():
            raise Misconfigured("there is nobody to ask for the passphrase; set AIWORKER_BACKUP_PASSPHRASE_FILE")
        given = click.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True)
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise Misconfigured("the passphrase is not UTF-8") from error
    if is_new and len(given) < SHORTEST_PASSPHRASE:
        raise Misconfigured(f"the passphrase is too short; take at least {SHORTEST_PASSPHRASE} characters")
    return str(given)


def _say(terminal: Terminal, contents: Contents, what: str, *, file: str) -> None:
    if terminal.is_json:
        terminal.print_json({"backup": {"file": file, **vars(contents)}})
    else:
        click.echo(f"{what}: {_told(contents)}")


def _told(contents: Contents) -> str:
    repositories = counted(contents.repositories, "repository", "repositories")
    return f"{counted(contents.rows, 'row')}, {repositories}, {contents.bytes / 2**20:,.1f} MiB."


class _Shown:
    """Progress on standard error: one line that changes on a terminal, else a line for each step that is done."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._at = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        is_over = done >= total
        if self._is_terminal:
            now = time.monotonic()
            if is_over or now - self._at > _BETWEEN_SECONDS:
                self._at = now
                share = 100 if total == 0 else 100 * done // total
                click.echo(f"\r\033[K{what}: {share} %", err=True, nl=is_over)
        elif is_over:
            click.echo(f"{what}: done", err=True)
