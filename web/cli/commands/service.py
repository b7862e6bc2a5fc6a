"""`aiworker service`: installs and removes the unit of web/launcher/service_unit.py."""

from __future__ import annotations

import os

import click

from common.errors import Misconfigured
from common.settings.platform_address import read_platform_address
from web.launcher import service_unit
from web.launcher.service_unit import Service

_system = click.option(
    "--system/--user",
    "is_system",
    default=lambda: os.geteuid() == 0,
    help="A service of the machine, or of this user. Default: of the machine for root.",
)


@click.group()
def service() -> None:
    """The platform as a service of systemd."""


@service.command()
@_system
@click.option("--account", help="Who runs the machine's service. Default: the owner of the data directory.")
@click.option("--print", "only_print", is_flag=True, help="Print the unit, and change nothing.")
@click.option("--start/--no-start", "starts", default=True, help="Whether to enable and start it now. Default: yes.")
def install(is_system: bool, account: str | None, only_print: bool, starts: bool) -> None:
    """Start the platform with the machine, and again if it fails. Safe to repeat.

    It uses the data directory that AIWORKER_DATA_DIR names, else .aiworker in the present directory. Other settings go
    into the file that the unit names.
    """
    chosen = _chosen(account, is_system=is_system)
    if only_print:
        click.echo(service_unit.unit_of(chosen), nl=False)
        return
    todo = service_unit.install(chosen, starts=starts)
    click.echo(f"The unit is {chosen.unit_path}; the data is in {chosen.data_dir}.")
    click.echo(f"Settings go into {chosen.settings_path}; logs: journalctl {_user(chosen)}-u aiworker")
    for command in todo:
        click.echo(f"Run: {command}")


@service.command()
@_system
def remove(is_system: bool) -> None:
    """Stop the service and remove its unit. Data and settings stay."""
    chosen = _chosen(None, is_system=is_system)
    was_there = service_unit.remove(chosen)
    click.echo(f"{chosen.unit_path} is removed." if was_there else f"There is no {chosen.unit_path}.")


def _chosen(account: str | None, *, is_system: bool) -> Service:
    data_dir = read_platform_address().data_dir
    if not is_system:
        if account is not None:
            raise Misconfigured("--account is for a service of the machine: give --system, too")
        return Service(data_dir, None)
    return Service(data_dir, account or service_unit.account_for(data_dir))


def _user(chosen: Service) -> str:
    return "--user " if chosen.account is None else ""
