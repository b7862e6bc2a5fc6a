"""`aiworker verify`: checks a production commit's receipt with the public key alone."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from common.secrets.envelopes import NotVerified, PublicKey, digest_of, read_keys
from web.cli.api_error import ApiError
from web.cli.commands.receipt_chain import (
    FETCH,
    Checked,
    Commit,
    Unchecked,
    check,
    check_chain,
    lines_of,
    read_commit,
    read_note,
    read_notes,
)
from web.cli.terminal import JsonObject, Terminal, cell, pass_terminal

_URL = "AIWORKER_URL"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("commit")
@click.option("--key", type=_FILE, required=True,
              envvar="AIWORKER_PUBLIC_KEY", show_envvar=True,
              help="The file with the platform's public key.")  # fmt: skip
@click.option("--receipt", type=_FILE, help="A file with the receipt. Default: the commit's git note.")
@click.option("--chain", "is_chain", is_flag=True, help="Check every receipt before it, too.")
@pass_terminal
@click.pass_context
def verify(
    context: click.Context, terminal: Terminal, commit: str, key: Path, receipt: Path | None, is_chain: bool
) -> None:
    """Check the receipt of a production commit, without the platform.

    Run it in a clone. COMMIT is a commit, a tag or a branch. The exit status is 1 if anything is not as it was signed.
    """
    try:
        keys = read_keys(key.read_text(encoding="utf-8", errors="replace"))
        found = read_commit(commit)
        texts = _receipts(terminal, found.sha, receipt)
        checked = [check(text, keys, found) for text in texts]
        before = _chain(checked, texts, keys) if is_chain else []
    except NotVerified as problem:
        _tell(terminal, None, [], problem=str(problem))
        context.exit(1)
    except (Unchecked, OSError) as error:
        raise ApiError(str(error)) from error
    _tell(terminal, found, [*before, *checked])


def _receipts(terminal: Terminal, sha: str, file: Path | None) -> list[str]:
    """The receipts of the commit, unchecked: of the file, else of the note, else of the platform that was named."""
    texts = _in_file(file.read_bytes()) if file else read_note(sha) or _on_platform(terminal, sha)
    if not texts:
        where = "in the file" if file else f"in the notes of this clone; get them with: {FETCH}"
        raise NotVerified(f"there is no receipt of {sha} {where}")
    return texts


def _in_file(content: bytes) -> list[str]:
    """The receipts in a file: one a line, as in a note, or as the API answers."""
    texts = lines_of(content)
    try:
        reply = json.loads(content)
        return [str(one["envelope"]) for one in reply["receipts"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return texts


def _on_platform(terminal: Terminal, sha: str) -> list[str]:
    """The receipts that the platform has, if the caller names one. The key is never asked of it."""
    # The client reads the file; the settings' module would load more than the check of a receipt needs.
    if not (terminal.url or os.environ.get(_URL) or os.environ.get(f"{_URL}_FILE")):
        return []
    with import_module("web.cli.client").api_of(terminal) as api:
        reply: JsonObject = api.call("GET", f"/receipts/{sha}")
    return [str(one["envelope"]) for one in reply["receipts"]]


def _chain(checked: Sequence[Checked], texts: Sequence[str], keys: Sequence[PublicKey]) -> list[Checked]:
    """Every receipt before those of the commit, oldest first. Raises NotVerified."""
    known = read_notes() | {digest_of(text): text for text in texts}
    newest = max(checked, key=lambda one: one.number)
    own = {one.digest for one in checked}
    return [one for one in reversed(list(check_chain(newest, known, keys))) if one.digest not in own]


def _tell(terminal: Terminal, commit: Commit | None, checked: Sequence[Checked], problem: str | None = None) -> None:
    if terminal.is_json:
        receipts = [{"number": one.number, "kind": one.kind, "commitSha": one.sha, "digest": one.digest,
                     "statement": one.statement} for one in checked]  # fmt: skip
        terminal.print_json({"isVerified": problem is None, "problem": problem, "receipts": receipts})
    elif problem is not None:
        terminal.print_line(cell(f"not verified: {problem}"))
    else:
        for one in checked:
            terminal.print_line(cell(f"receipt {one.number}: {one.kind} of {one.sha}, signed as it is"))
        assert commit is not None
        terminal.print_line(f"verified: {commit.sha}")
