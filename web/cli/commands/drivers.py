"""`aiworker drivers`: which programs agents can work with on this machine, and how to get them."""

from __future__ import annotations

import os

import click

from common.settings.platform_address import read_platform_address
from common.settings.private_files import PRIVATE_UMASK
from common.values.runs.drivers import find_driver
from web.cli.terminal import Terminal
from web.launcher.driver_install import drivers_folder, install_driver, installable


@click.group(invoke_without_command=True)
@click.pass_context
def drivers(context: click.Context) -> None:
    """List the drivers that have a program, with what is found on this machine."""
    if context.invoked_subcommand is not None:
        return
    folder = drivers_folder(read_platform_address().data_dir)
    rows: list[dict[str, object]] = []
    for known in installable():
        found = find_driver(known, folder=folder)
        rows.append(
            {
                "name": known.name,
                "title": known.title,
                "api": known.api,
                "canWork": found.is_usable,
                "version": found.version,
                "tried": known.tried,
                "says": found.says,
            }
        )
    terminal: Terminal = context.obj
    terminal.print_rows("drivers", rows, ("name", "canWork", "version", "says"))


@drivers.command()
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@click.pass_obj
def install(terminal: Terminal, names: tuple[str, ...]) -> None:
    """Install the programs of these drivers. Safe to repeat.

    At the versions that were tried.
    """
    # Not by the settings, which make a secret key: this is done while an image is built, too.
    folder = drivers_folder(read_platform_address().data_dir)
    os.umask(PRIVATE_UMASK)
    installed = [
        {"name": name, "path": str(install_driver(name, folder, say=lambda line: click.echo(line, err=True)))}
        for name in names
    ]
    if terminal.is_json:
        terminal.print_json({"drivers": installed})
