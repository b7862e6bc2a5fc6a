"""Checks receipts in a clone with the public key alone: no platform, no database, no network.

A receipt lies in a git note on its commit, one a line. Each names the one before it in its project by its digest.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from common.secrets.envelopes import NotVerified, PublicKey, Statement, digest_of, open_envelope
from common.secrets.statement_types import RECEIPT_TYPE
from common.values.names import RECEIPTS_REF, SHA_PATTERN

GIT_SECONDS = 60.0
FETCH = f"git fetch origin {RECEIPTS_REF}:{RECEIPTS_REF}"
"""Brings the notes into a clone: git does not by itself."""
_TREE = re.compile(rb"tree ([0-9a-f]{40})\n")


class Unchecked(Exception):
    """There is nothing to check, or no means to. The message says what to do."""


@dataclass(frozen=True)
class Commit:
    """A commit of the clone. tree: of its files."""

    sha: str
    tree: str


@dataclass(frozen=True)
class Checked:
    """A receipt that is what the platform signed. previous: digest of the one before it; None: it is the first."""

    number: int
    kind: str
    previous: str | None
    digest: str
    project_id: str
    sha: str
    statement: Statement


def read_commit(named: str) -> Commit:
    """The commit of that name in the clone that the present folder is in. Raises Unchecked."""
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{named}^{{commit}}")
    sha = "" if found is None else found.decode("ascii", "replace").strip()
    content = _git("cat-file", "commit", sha) if SHA_PATTERN.fullmatch(sha) else None
    if content is None:
        raise Unchecked(f"there is no commit {named} here; run this in a clone of the project that has it")
    # git trusts its own files: one that was changed would still have the old name.
    if hashlib.sha1(b"commit %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest() != sha:
        raise Unchecked(f"commit {sha} of this clone is damaged; clone the project again")
    tree = _TREE.match(content)
    if tree is None:
        raise Unchecked(f"commit {sha} of this clone can't be read; clone the project again")
    return Commit(sha, tree[1].decode())


def read_note(sha: str) -> list[str]:
    """The receipts in the commit's note, oldest first; empty if it has none."""
    note = _git("notes", f"--ref={RECEIPTS_REF}", "show", sha)
    return [] if note is None else lines_of(note)


def read_notes() -> dict[str, str]:
    """Every receipt in the clone's notes, by its digest."""
    listed = (_git("notes", f"--ref={RECEIPTS_REF}", "list") or b"").decode("ascii", "replace").splitlines()
    shas = [line.split()[1] for line in listed if len(line.split()) == 2]
    return {digest_of(text): text for sha in shas for text in read_note(sha)}


def lines_of(note: bytes) -> list[str]:
    """The lines of a note or a file. Bytes that are not UTF-8 become a sign that no receipt contains."""
    return [line for line in note.decode("utf-8", "replace").split("\n") if line]


def check(text: str, keys: Sequence[PublicKey], commit: Commit | None = None) -> Checked:
    """The receipt, if one of the keys has signed it and it is the commit's. Raises NotVerified.

    commit: None: of whichever commit it is.
    """
    statement = open_envelope(text, keys)
    try:
        digests = _digests(statement)
        said = _read(statement, digests["gitCommit"], digest_of(text))
    except (KeyError, TypeError, ValueError) as error:
        raise NotVerified("it is signed, but it is no receipt that this version knows") from error
    if commit is not None and digests["gitCommit"] != commit.sha:
        raise NotVerified(f"it is the receipt of another commit, {digests['gitCommit']}")
    if commit is not None and digests.get("gitTree", commit.tree) != commit.tree:
        raise NotVerified(f"the commit's files are not those that were deployed (tree {digests['gitTree']})")
    return said


def check_chain(last: Checked, texts: dict[str, str], keys: Sequence[PublicKey]) -> Iterator[Checked]:
    """The receipts before the last one, back to the first. Raises NotVerified for one that is missing or wrong.

    texts: receipts by their digests.
    """
    while last.previous is not None:
        number = last.number - 1
        text = texts.get(last.previous)
        if text is None:
            raise NotVerified(f"receipt {number} is not in the notes, or was changed; get them with: {FETCH}")
        before = check(text, keys)
        if (before.number, before.project_id) != (number, last.project_id):
            raise NotVerified(f"receipt {last.number} does not follow receipt {before.number}")
        yield before
        last = before
    if last.number != 1:
        raise NotVerified(f"receipt {last.number} names none before it, and is not the first")


def _digests(statement: Statement) -> dict[str, str]:
    """The digests of what the receipt is about. KeyError, TypeError or ValueError if it is no receipt."""
    subjects = statement["subject"]
    if not isinstance(subjects, list) or len(subjects) != 1:
        raise ValueError("not one subject")
    return {str(name): str(value) for name, value in dict(subjects[0]["digest"]).items()}


def _read(statement: Statement, sha: str, digest: str) -> Checked:
    """KeyError, TypeError or ValueError if it is no receipt."""
    said = statement["predicate"]
    if statement["predicateType"] != RECEIPT_TYPE or not isinstance(said, dict):
        raise ValueError("another statement")
    previous = said["previous"]
    return Checked(
        int(said["number"]), str(said["kind"]), None if previous is None else str(previous), digest,
        str(said["project"]["id"]), sha, statement,
    )  # fmt: skip


def _git(*words: str) -> bytes | None:
    """What git says in the present folder; None if it refuses or there is no git."""
    # A replacement or a graft of the clone's would show other commits than those that were signed.
    environ = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        ended = subprocess.run(
            ["git", *words],
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=GIT_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout if ended.returncode == 0 else None
