"""`aiworker secret-key …`: another secret key, as when somebody may have read the present one."""

from __future__ import annotations

import os
from pathlib import Path

import click

from common.errors import Misconfigured
from common.machine.files import replace_file
from common.secrets.signing import key_id, public_key
from common.services.projects.provisioning import renew_webhooks
from common.services.upkeep.resealing import Resealed, reseal_everything
from common.settings import given_key, settings
from common.settings.environment import Environment
from common.settings.private_files import FINISH, forget_earlier_key, replace_kept_key
from web.cli.operators import operator, operator_session
from web.cli.tables import counted
from web.cli.terminal import Terminal, pass_terminal
from web.launcher.prerequisites import own_directory

_SHORT_KEY_ID = 8


@click.group("secret-key")
@click.pass_context
def secret_key(context: click.Context) -> None:
    """The secret key, which seals what is stored and signs logins."""
    context.with_resource(operator_session())


@secret_key.command()
@pass_terminal
def change(terminal: Terminal) -> None:
    """Make a new key in the data directory, and seal all with it.

    Stop the platform first, on every machine. Everybody has to log in again; API tokens and agents stay. If it is
    stopped on the way, the platform works with both keys: finish with `aiworker secret-key reseal`.
    """
    operator()
    if given_key(Environment(os.environ)) is not None:
        raise Misconfigured(
            "the secret key is AIWORKER_SECRET_KEY: set a new one there, the present one as "
            f"AIWORKER_EARLIER_SECRET_KEY, start every process anew, then: {FINISH}"
        )
    data_dir = settings().store.data_dir
    with own_directory(data_dir):
        kept = None if settings().security.signing_key else _keep_public_key(data_dir)
        replace_kept_key(data_dir)
        settings.cache_clear()
        done = _seal_anew()
    _say(terminal, done)
    if kept is not None and not terminal.is_json:
        terminal.print_line(f"The public key is a new one. The one for receipts and events of before is in {kept}.")


@secret_key.command()
@pass_terminal
def reseal(terminal: Terminal) -> None:
    """Seal anew what the earlier secret key still seals.

    The earlier key is AIWORKER_EARLIER_SECRET_KEY, or the one in the data directory that a change kept. The platform
    may run, if all its processes were started with both keys. Safe to repeat.
    """
    operator()
    if settings().security.earlier_key is None:
        raise Misconfigured(
            "there is no earlier secret key; set AIWORKER_EARLIER_SECRET_KEY to it, or make a new key: "
            "aiworker secret-key change"
        )
    _say(terminal, _seal_anew())


def _keep_public_key(data_dir: Path) -> Path:
    path = data_dir / f"public_key_{key_id()[:_SHORT_KEY_ID]}.pem"
    replace_file(path, public_key().encode())
    return path


def _seal_anew() -> Resealed:
    done = reseal_everything()
    renew_webhooks()
    if not _is_set():
        forget_earlier_key(settings().store.data_dir)
        settings.cache_clear()
    return done


def _is_set() -> bool:
    """Whether the earlier key is a setting: what the data directory keeps is of another change then."""
    return Environment(os.environ).secret("AIWORKER_EARLIER_SECRET_KEY") is not None


def _say(terminal: Terminal, done: Resealed) -> None:
    if terminal.is_json:
        terminal.print_json({"secretKey": {"resealed": done.resealed, "unreadable": done.unreadable}})
        return
    terminal.print_line(f"{counted(done.resealed, 'value is', 'values are')} sealed with the new key now.")
    if done.unreadable:
        terminal.print_line(
            f"{counted(done.unreadable, 'value')} can't be opened with either key; see: aiworker doctor"
        )
    if _is_set():
        terminal.print_line("Remove AIWORKER_EARLIER_SECRET_KEY, and start every process anew.")
