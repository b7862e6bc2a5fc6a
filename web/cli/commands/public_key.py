"""`aiworker public-key`: the key to check receipts and the audit with, to be carried to another machine."""

from __future__ import annotations

import click

from common.secrets.signing import key_id, public_key
from web.cli.operators import operator, operator_session
from web.cli.terminal import Terminal, pass_terminal


@click.command("public-key")
@pass_terminal
def print_public_key(terminal: Terminal) -> None:
    """Print the public key that receipts and the audit are checked with."""
    with operator_session():
        operator()
        if terminal.is_json:
            terminal.print_json({"key": {"id": key_id(), "publicKey": public_key()}})
        else:
            click.echo(public_key(), nl=False)
