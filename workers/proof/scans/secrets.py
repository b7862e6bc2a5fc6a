"""The check `secrets`: searches the lines that a commit adds since its merge base.

A line counts as added if none of the changed files had it before. A finding names file, line and kind, and a digest of
the secret with a key of this instance, by which the same secret is known again; never the secret itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeGuard

from common.errors import ProviderRefused
from common.providers.forge import Blob, Change, Entry, Forge
from common.secrets.masking import Mask
from common.services.proof.verification import CheckResult
from common.values.repository import Repository
from common.values.testing.scans import SECRETS, ScanPlan
from workers.proof.scans.findings import CheckTexts, Finding, digest_of, findings_check, shown_path, shown_paths
from workers.proof.scans.secret_texts import find_secrets, reading_of
from workers.proof.sources.links import is_link

MOST_BYTES = 64 * 2**20
"""That are searched. Files beyond it are named."""
MOST_SECONDS = 120.0
MOST_READ_TOGETHER = 100
"""Blobs, which have at most 4 MiB each."""
MOST_COPIES_NAMED = 20
"""So many files with the same content are named in findings."""
SNIFFED_BYTES = 8000
TELLING_LENGTH = 32
UNREAD = "File too large to search"
CHECK_TEXTS = CheckTexts(
    SECRETS, "secrets_found", "secret", "secrets",
    "Take them out, also of the branch's earlier commits, and read them from the environment. A maintainer can let go "
    "what is none.",
)  # fmt: skip


def check_secrets(forge: Forge, repository: Repository, changes: Sequence[Change], plan: ScanPlan) -> CheckResult:
    """The check. Files that can't be searched are named; too large ones are findings. Raises ProviderUnavailable."""
    return _Search(forge, repository, plan.known).check(changes, plan)


@dataclass
class _Search:
    forge: Forge
    repository: Repository
    known: Mapping[str, str]
    findings: list[Finding] = field(default_factory=list)
    binary: list[str] = field(default_factory=list)
    lines_before: set[int] = field(default_factory=set)
    """Hashes of the stripped lines of all changed files before the change."""

    def check(self, changes: Sequence[Change], plan: ScanPlan) -> CheckResult:
        before = {change.before.object_id for change in changes if _is_text(change.before)}
        after = [change.after for change in changes if _is_text(change.after)]
        paths: dict[str, list[str]] = {}
        for entry in after:
            if entry.object_id not in before:
                paths.setdefault(entry.object_id, []).append(entry.path)
        left = dict(paths)
        for blob in self._blobs(list(before) if paths else []):
            if not _is_binary(blob):
                self.lines_before |= {hash(line.strip()) for line in _lines(blob)}
        for blob in self._blobs(list(paths)):
            self._search(left.pop(blob.object_id), blob)
        for object_id, copies in left.items():
            self._note_unread(copies, object_id)
        count = sum(map(len, paths.values()))
        notes = ["One file was searched." if count == 1 else f"{count} files were searched."]
        if self.binary:
            notes.append(f"Not searched, as not text: {shown_paths(self.binary)}.")
        facts = {"files": count, "binary": len(self.binary)}
        is_refused = plan.secrets == "refuse"
        return findings_check(
            CHECK_TEXTS, self.findings, accepted=plan.accepted, is_refused=is_refused, facts=facts, notes=notes
        )

    def _blobs(self, ids: Sequence[str]) -> Iterator[Blob]:
        """Yield the blobs within MOST_BYTES and MOST_SECONDS."""
        deadline, left = time.monotonic() + MOST_SECONDS, MOST_BYTES
        for start in range(0, len(ids), MOST_READ_TOGETHER):
            for blob in self._together(ids[start : start + MOST_READ_TOGETHER]):
                left -= len(blob.content)
                if left < 0 or time.monotonic() > deadline:
                    return
                yield blob

    def _together(self, ids: Sequence[str]) -> Iterator[Blob]:
        """Yield the blobs, in halves where the forge does not read them all at once."""
        try:
            yield from self.forge.read_blobs(self.repository, ids)
        except ProviderRefused as error:
            if error.code != "diff_too_large" or len(ids) < 2:
                raise
            middle = len(ids) // 2
            yield from self._together(ids[:middle])
            yield from self._together(ids[middle:])

    def _search(self, paths: Sequence[str], blob: Blob) -> None:
        """Search the content that these files have in common."""
        lines = _lines(blob)
        added = [hash(line.strip()) not in self.lines_before for line in lines]
        self._search_known(paths, lines, added)
        if _is_binary(blob):
            self.binary += paths
            return
        if blob.is_cut:
            self._note_unread(paths, blob.object_id)
        alike: dict[object, list[str]] = {}
        for path in paths:
            alike.setdefault(reading_of(path), []).append(path)
        for copies in alike.values():
            for found in find_secrets(copies[0], lines, added):
                self._note(found.kind, found.value, copies, found.line)

    def _search_known(self, paths: Sequence[str], lines: Sequence[str], added: Sequence[bool]) -> None:
        known = {name: _telling_lines(value) for name, value in self.known.items()}
        if not Mask(chain.from_iterable(known.values())).places(lines):
            return
        for name, parts in known.items():
            for first, last in Mask(parts).places(lines):
                if any(added[first : last + 1]):
                    self._note(f"Value of the secret variable {name}", self.known[name], paths, first)

    def _note(self, kind: str, value: str, paths: Sequence[str], line: int) -> None:
        name = f"{kind} {digest_of(value)}"
        self.findings += [Finding(name, f"{shown_path(path)}, line {line + 1}") for path in paths[:MOST_COPIES_NAMED]]

    def _note_unread(self, paths: Sequence[str], object_id: str) -> None:
        name = f"{UNREAD} {digest_of(object_id)}"
        self.findings += [Finding(name, shown_path(path)) for path in paths[:MOST_COPIES_NAMED]]


def _telling_lines(value: str) -> list[str]:
    """The lines by which a value is known. Others of several lines, such as the first of a key, may stand anywhere."""
    lines = value.splitlines()
    return lines and [max(lines, key=len), *(line for line in lines if len(line) >= TELLING_LENGTH and " " not in line)]


def _is_text(entry: Entry | None) -> TypeGuard[Entry]:
    """Whether it may hold a secret: a file, or a link, whose text is free."""
    return entry is not None and (entry.is_file or is_link(entry))


def _is_binary(blob: Blob) -> bool:
    return b"\0" in blob.content[:SNIFFED_BYTES]


def _lines(blob: Blob) -> list[str]:
    return blob.content.decode("utf-8", "replace").split("\n")
