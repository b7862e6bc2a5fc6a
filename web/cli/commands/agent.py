"""`aiworker agent`: becomes the runner, which needs nothing of the platform."""

from __future__ import annotations

import os
import sys

import click


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def agent(arguments: tuple[str, ...]) -> None:
    """Run an agent on this machine; see `aiworker agent --help`."""
    # -P: a package called workers or common where this is called from must not be taken for ours.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "workers.runner", *arguments])  # noqa: S606 (its purpose)
