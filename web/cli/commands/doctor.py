"""`aiworker doctor`: prints what web/doctor/checks.py finds, and wrong settings of `aiworker up`."""

from __future__ import annotations

import click

from web.cli.commands.up import examine_up
from web.cli.operators import operator_session
from web.cli.terminal import Terminal, pass_terminal
from web.doctor.checks import examine


@click.command()
@pass_terminal
@click.pass_context
def doctor(context: click.Context, terminal: Terminal) -> None:
    """Check the installation and print a remedy for each problem."""
    with operator_session():
        findings = [*examine(), *examine_up()]
    if terminal.is_json:
        terminal.print_json({"findings": [vars(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{finding.status:<5} {finding.part:<9} {finding.says}")
    context.exit(int(any(finding.status == "fail" for finding in findings)))
