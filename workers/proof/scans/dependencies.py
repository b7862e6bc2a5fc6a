"""The check `dependencies`: compares the package versions that a commit brings into lock files with the advisories that
the operator provides.

Versions that one of the changed lock files named before are not new. Lock files in formats that nothing here reads are
named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.advisories import advisories
from common.providers.advisories.entries import Entry
from common.providers.forge import Change, Forge
from common.providers.forge import Entry as File
from common.services.proof.verification import CheckResult, ProofPlan
from common.settings import settings
from common.values.testing.packages import Package
from common.values.testing.scans import DEPENDENCIES
from workers.proof.scans.findings import CheckTexts, Finding, digest_of, findings_check, shown_path, shown_paths
from workers.proof.scans.lock_files import MOST_LOCK_BYTES, NOT_READ, ecosystem_of, packages_in
from workers.proof.sources.links import linked_files

UNREADABLE = "Lock file that can't be read"
CHECK_TEXTS = CheckTexts(
    DEPENDENCIES,
    "known_faults",
    "dependency with a known fault",
    "dependencies with a known fault",
    "Take other versions. A maintainer can let a finding go.",
)


def check_dependencies(forge: Forge, plan: ProofPlan, changes: Sequence[Change]) -> CheckResult:
    """The check. Lock files that can't be read are findings.

    Raises ProviderUnavailable if the advisories can't be read and the project refuses what has known faults: that is
    the operator's to mend, not the agent's.
    """
    source = settings().scans.advisories_path
    if source is None:
        return CheckResult(DEPENDENCIES, "skipped", "The operator of this platform provides no advisories.")
    locks = _Locks(forge, plan)
    locks.read(changes)
    if not locks.paths and not locks.unknown:
        return CheckResult(DEPENDENCIES, "passed", "No lock file was changed.")
    try:
        known = advisories(source).read_advisories(locks.new.keys()) if locks.new else {}
    except ProviderUnavailable as error:
        if plan.scans.dependencies == "refuse":
            raise
        return CheckResult(DEPENDENCIES, "passed", f"Not looked at: {error}.", code="advisories_unreadable")
    notes = [
        f"Lock files changed: {len(locks.paths)}.",
        f"New versions compared with the advisories: {len(locks.new)}.",
    ]
    if locks.unknown:
        notes.append(f"Not read, as of another format: {shown_paths(locks.unknown)}.")
    return findings_check(
        CHECK_TEXTS,
        [*locks.unreadable, *_findings(known, locks.new)],
        accepted=plan.scans.accepted,
        is_refused=plan.scans.dependencies == "refuse",
        facts={"packages": len(locks.new), "files": len(locks.paths), "unread": len(locks.unknown)},
        notes=notes,
    )


def _findings(known: Mapping[Package, Sequence[Entry]], new: Mapping[Package, str]) -> Iterator[Finding]:
    for package, entries in known.items():
        for entry in entries:
            summary = f": {entry.summary}" if entry.summary else ""
            advisory_id = " ".join(entry.advisory_id.replace(":", " ").split())
            yield Finding(f"{advisory_id} of {package}", f"{shown_path(new[package])}{summary}")


@dataclass
class _Locks:
    """The lock files that a commit adds or changes. new: versions that none of them named before, with a file."""

    forge: Forge
    plan: ProofPlan
    new: dict[Package, str] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unreadable: list[Finding] = field(default_factory=list)

    def read(self, changes: Sequence[Change]) -> None:
        after = [change.after for change in changes if change.after is not None and change.after.is_file]
        after += self._linked(changes)
        self.unknown = [file.path for file in after if file.path.rpartition("/")[2] in NOT_READ]
        locks = [file for file in after if ecosystem_of(file.path) is not None]
        before = [change.before for change in changes if change.before is not None and change.before.is_file]
        former = [file for file in before if ecosystem_of(file.path) is not None]
        contents = self._contents([*locks, *former])
        self.paths = [file.path for file in locks]
        old = {package for file in former for package in self._packages(file, contents, is_new=False)}
        for file in locks:
            self.new |= dict.fromkeys(self._packages(file, contents, is_new=True) - old, file.path)

    def _linked(self, changes: Sequence[Change]) -> list[File]:
        """What links that are lock files by their names lead to: package managers follow them."""
        repository = self.plan.location.repository
        try:
            return linked_files(self.forge, repository, self.plan.claimed_sha or "", changes)
        except ProviderRefused as error:
            if error.code != "diff_too_large":
                raise
            return []

    def _packages(self, file: File, contents: Mapping[str, bytes] | None, *, is_new: bool) -> frozenset[Package]:
        try:
            if contents is None:
                raise ValueError("is too large, with the other lock files")
            content = contents.get(file.object_id)
            return packages_in(file.path, self._large(file, is_new=is_new) if content is None else content)
        except ValueError as error:
            if is_new:
                place = f"{shown_path(file.path)} {error}"
                self.unreadable.append(Finding(f"{UNREADABLE} {digest_of(file.object_id)}", place))
            return frozenset()

    def _contents(self, files: Sequence[File]) -> Mapping[str, bytes] | None:
        """By the ids of the blobs, without those that are too large to be read with others. None if all together are
        too large.
        """
        ids = [file.object_id for file in files]
        try:
            found = self.forge.read_blobs(self.plan.location.repository, ids) if ids else ()
            return {blob.object_id: blob.content for blob in found if not blob.is_cut}
        except ProviderRefused as error:
            if error.code != "diff_too_large":
                raise
            return None

    def _large(self, file: File, *, is_new: bool) -> bytes:
        repository, claimed = self.plan.location.repository, self.plan.claimed_sha or ""
        commit = claimed
        if not is_new:
            base = self.forge.read_head(repository, self.plan.location.default_branch)
            commit = self.forge.read_merge_base(repository, base=base or "", head=claimed)
        try:
            content = self.forge.read_file(repository, commit=commit, path=file.path, max_bytes=MOST_LOCK_BYTES)
        except ProviderRefused as error:
            if error.code != "too_large":
                raise
            raise ValueError("is too large") from error
        return content or b""
