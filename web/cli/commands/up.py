"""`aiworker up`: the command of web/launcher/up.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

import click

from common.errors import Misconfigured
from common.settings import settings
from common.settings.agents import AgentSettings
from common.settings.environment import Environment
from common.settings.web import WEB_PROCESSES, check_process_numbers
from common.values.finding import Finding
from web.launcher.up import UpOptions, run_up


class _SettingOption(click.Option):
    """An option whose variable may name a file with the value, as that of any setting: `AIWORKER_AGENTS_FILE`.

    A wrong value in it raises Misconfigured, as that of any setting, unless the option is given.
    """

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        assert isinstance(self.envvar, str)
        value = Environment(os.environ).text(self.envvar)
        if value is not None and not ctx.resilient_parsing:
            self._check(value, ctx)
        return value

    def _check(self, value: str, context: click.Context) -> None:
        try:
            self.type.convert(value, self, context)
        except click.BadParameter as error:
            kind = self.type
            wanted = f"a whole number from {kind.min} to {kind.max}" if isinstance(kind, click.IntRange) else "0 or 1"
            raise Misconfigured(f"{self.envvar}={value} is not {wanted}") from error


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Web port. Default: AIWORKER_PORT, else 3000.")
@click.option(
    "--data-dir", type=click.Path(file_okay=False), help="Data directory. Default: AIWORKER_DATA_DIR, else .aiworker."
)
@click.option(
    "--agents",
    cls=_SettingOption,
    type=click.IntRange(0, 64),
    default=1,
    envvar="AIWORKER_AGENTS",
    help="Number of local agents. Default: AIWORKER_AGENTS, else 1.",
)
@click.option(
    "--slots",
    cls=_SettingOption,
    type=click.IntRange(1, 100),
    default=1,
    envvar="AIWORKER_AGENT_SLOTS",
    help="Runs of each local agent at the same time. Default: AIWORKER_AGENT_SLOTS, else 1.",
)
@click.option(
    "--flower/--no-flower",
    cls=_SettingOption,
    default=False,
    envvar="AIWORKER_FLOWER",
    help="Whether to run Flower. Default: AIWORKER_FLOWER, else no.",
)
@click.option(
    "--install-drivers/--no-install-drivers",
    cls=_SettingOption,
    default=True,
    envvar="AIWORKER_INSTALL",
    help="Whether to install the CLI of a model whose key is set. Default: AIWORKER_INSTALL, else yes.",
)
@click.option(
    "--install-sandbox/--no-install-sandbox",
    cls=_SettingOption,
    default=True,
    envvar="AIWORKER_INSTALL",
    help="Whether root installs bubblewrap and slirp4netns. Default: AIWORKER_INSTALL, else yes.",
)
@click.option("--page-sources", is_flag=True, hidden=True, help="Serve the page's sources as they are.")
@click.pass_context
def up(
    context: click.Context,
    port: int | None,
    data_dir: str | None,
    agents: int,
    slots: int,
    flower: bool,
    install_drivers: bool,
    install_sandbox: bool,
    page_sources: bool,
) -> None:
    """Run the whole platform in the foreground, until Ctrl-C."""
    if port is not None:
        os.environ["AIWORKER_PORT"] = str(port)
    if data_dir is not None:
        os.environ["AIWORKER_DATA_DIR"] = data_dir
    settings.cache_clear()
    check_process_numbers(WEB_PROCESSES)
    options = UpOptions(agents, slots, flower, install_drivers, install_sandbox, page_sources)
    context.exit(run_up(settings(), options))


def examine_up() -> Iterator[Finding]:
    """What the doctor finds of the settings that only this command and agents read: those that are wrong."""
    with click.Context(up) as context:
        for option in up.params:
            if isinstance(option, _SettingOption):
                try:
                    option.resolve_envvar_value(context)
                except Misconfigured as error:
                    yield Finding("fail", "settings", str(error))
    for check in (partial(check_process_numbers, WEB_PROCESSES), AgentSettings.from_env):
        try:
            check()
        except Misconfigured as error:
            yield Finding("fail", "settings", str(error))
