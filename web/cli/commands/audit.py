"""`aiworker audit …`: whether the audit is as it was sealed, directly in the database."""

from __future__ import annotations

import re
from pathlib import Path

import click

from common.secrets.envelopes import NotVerified, PublicKey, read_keys
from common.secrets.signing import public_key
from common.services.activity.audit_checks import FeedFinding, NotedSeal, check_audit
from web.cli.api_error import ApiError
from web.cli.operators import operator, operator_session
from web.cli.tables import counted
from web.cli.terminal import Terminal, cell, pass_terminal

_SEAL = re.compile(r"([A-Za-z0-9-]{1,40}):([0-9]{1,9}):([0-9A-Fa-f]{64})")


@click.group()
def audit() -> None:
    """The audit: who did what, sealed, so that nobody can change it unnoticed."""


@audit.command("verify")
@click.option("--key", "files", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A public key of before a change of the key; may be repeated.")  # fmt: skip
@click.option("--seal", "seals", multiple=True, metavar="FEED:NUMBER:SHA256",
              help="A seal that was named before, here or in the log; may be repeated.")  # fmt: skip
@pass_terminal
@click.pass_context
def verify_audit(
    context: click.Context, terminal: Terminal, files: tuple[Path, ...], seals: tuple[str, ...]
) -> None:  # fmt: skip
    """Check every event against its seal.

    One line for each feed: `platform`, `administration`, and each project by its id, with its newest seal. The exit
    status is 1 if anything is not as it was.
    """
    noted = [_noted(text) for text in seals]
    with operator_session():
        operator()
        keys = _keys(files)
        findings = []
        for finding in check_audit(keys, noted):
            findings.append(finding)
            if not terminal.is_json:
                terminal.print_line(cell(_line(finding)))
    if terminal.is_json:
        terminal.print_json({"feeds": [_fields(finding) for finding in findings]})
    context.exit(int(any(finding.problem for finding in findings)))


def _keys(files: tuple[Path, ...]) -> list[PublicKey]:
    """The platform's own public key and those of the files."""
    try:
        return [key for pem in [public_key(), *(file.read_text() for file in files)] for key in read_keys(pem)]
    except (NotVerified, OSError, UnicodeDecodeError) as error:
        raise ApiError(f"the key can't be read: {error}") from error


def _noted(text: str) -> NotedSeal:
    found = _SEAL.fullmatch(text.strip())
    if found is None:
        raise click.BadParameter(f"{text} is not FEED:NUMBER:SHA256", param_hint="--seal")
    return NotedSeal(found[1], int(found[2]), found[3].lower())


def _line(finding: FeedFinding) -> str:
    if finding.problem is not None:
        return f"fail  {finding.feed_id}: {finding.problem}"
    as_they_were = counted(finding.sealed, "event is as it was", "events are as they were")
    since, newest = "not sealed yet", finding.newest
    if finding.since is not None and newest is not None:
        named = f"{newest.feed_id}:{newest.number}:{newest.sha256}"
        since = f"sealed since {finding.since:%Y-%m-%d %H:%M} UTC, newest seal {named}"
    return (
        f"ok    {finding.feed_id}: {as_they_were}, {finding.purged} purged, {finding.unsealed} not sealed yet; {since}"
    )


def _fields(finding: FeedFinding) -> dict[str, object]:
    newest = finding.newest
    return {
        "newestSeal": None if newest is None else {"number": newest.number, "sha256": newest.sha256},
        "feed": finding.feed_id, "sealed": finding.sealed, "purged": finding.purged, "unsealed": finding.unsealed,
        "since": None if finding.since is None else finding.since.isoformat(), "problem": finding.problem,
    }  # fmt: skip
