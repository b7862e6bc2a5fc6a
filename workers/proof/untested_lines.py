"""The check `coverage`: which lines that a commit adds since its merge base no test executed.

It tells the reviewer and never refuses. Only what the coverage report of the claimed commit's tests knows is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from common.errors import ProviderRefused
from common.machine.waiting import Deadline
from common.providers.forge import Blob, Change, Forge
from common.services.proof.verification import COVERAGE, CheckResult
from common.values.repository import Repository
from common.values.testing.check import Check
from common.values.testing.coverage import Coverage, FileCoverage, lines_of
from workers.proof.scans.findings import shown_path
from workers.proof.sentences import first_of

UNTESTED = "lines_untested"
MOST_SHOWN = 2000
MOST_FILES = 2000
MOST_SECONDS = 60.0
MOST_COMPARED_LINES, MOST_PAIRS = 20_000, 200_000
"""Of a file, without its equal beginning and end: lines of either side, and pairs of equal lines."""
_POPULAR_FROM_LINES, _POPULAR_SHARE = 200, 100
"""In files of so many lines, difflib passes over lines that are more than one of so many."""


@dataclass(frozen=True, order=True)
class _Untested:
    """count: of its lines, those that can run."""

    path: str
    first: int
    last: int
    count: int

    def __str__(self) -> str:
        return f"{shown_path(self.path)}:{self.first}-{self.last}"


def check_coverage(
    forge: Forge, repository: Repository, changes: Sequence[Change], check: Check, coverage: Coverage
) -> CheckResult:
    """The check. check: that of the tests; files that it took from elsewhere are left out, as their lines are others.

    Raises ProviderUnavailable.
    """
    if coverage.problem is not None:
        return _skipped(f"The coverage report was not used: {coverage.problem}.")
    known = {file.path: file for file in coverage.files if file.path not in _replaced(check)}
    files = [change for change in changes if change.after and change.after.is_file and change.after.path in known]
    if len(files) > MOST_FILES:
        return _skipped("Too many files changed to compare them with the coverage report.")
    try:
        return _Comparison(known, _blobs(forge, repository, files)).check(files)
    except ProviderRefused as error:
        if error.code != "diff_too_large":
            raise
        return _skipped("The changed files are too large to compare them with the coverage report.")


def _skipped(message: str) -> CheckResult:
    return CheckResult(COVERAGE, "skipped", message)


def _replaced(check: Check) -> set[str]:
    over = check.overlay
    return set() if over is None else {*over.paths, *over.gone, *(file.path for file in over.texts)}


def _blobs(forge: Forge, repository: Repository, files: Sequence[Change]) -> dict[str, Blob]:
    entries = [entry for change in files for entry in (change.before, change.after) if entry and entry.is_file]
    ids = list({entry.object_id for entry in entries})
    return {blob.object_id: blob for blob in forge.read_blobs(repository, ids)} if ids else {}


@dataclass(frozen=True)
class _Comparison:
    known: Mapping[str, FileCoverage]
    blobs: Mapping[str, Blob]

    def check(self, files: Sequence[Change]) -> CheckResult:
        deadline, added, passed_over = Deadline(MOST_SECONDS), 0, 0
        found: list[_Untested] = []
        for change in files:
            lines = self._added(change, deadline)
            if lines is None or change.after is None:
                passed_over += 1
                continue
            file = self.known[change.after.path]
            executed, missed = lines_of(file.executed), lines_of(file.missed)
            added += sum(line in executed or line in missed for line in lines)
            found += _untested(file.path, lines, executed, missed)
        return _result(sorted(found), added, passed_over)

    def _added(self, change: Change, deadline: Deadline) -> list[int] | None:
        """The numbers of the lines that the change adds to the file, ascending; None if it is too large to compare."""
        if deadline.is_over:
            return None
        before, after = (self.blobs.get(entry.object_id) if entry else None for entry in (change.before, change.after))
        if after is None or after.is_cut or (before is not None and before.is_cut):
            return None
        return added_lines(before.content.splitlines() if before else [], after.content.splitlines(), deadline)


def added_lines(before: Sequence[bytes], after: Sequence[bytes], deadline: Deadline) -> list[int] | None:
    """The numbers, from 1, of the lines of `after` that were added or changed; None if finding out takes too long."""
    start, least = 0, min(len(before), len(after))
    while start < least and before[start] == after[start]:
        start += 1
    end = 0
    while end < least - start and before[-1 - end] == after[-1 - end]:
        end += 1
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    if old and new and not _is_comparable(old, new):
        return None
    equal = _equal_lines(old, new, deadline)
    return None if equal is None else [start + number + 1 for number in range(len(new)) if number not in equal]


def _equal_lines(old: Sequence[bytes], new: Sequence[bytes], deadline: Deadline) -> set[int] | None:
    """The indices of lines of `new` in the blocks that difflib finds equal; None at the deadline.

    As SequenceMatcher.get_matching_blocks, which can't be ended: each block may take as long as all lines of the file.
    """
    matcher, equal = SequenceMatcher(None, old, new), set[int]()
    left = [(0, len(old), 0, len(new))]
    while left:
        if deadline.is_over:
            return None
        old_start, old_end, new_start, new_end = left.pop()
        if old_start == old_end or new_start == new_end:
            continue
        block = matcher.find_longest_match(old_start, old_end, new_start, new_end)
        if block.size:
            equal.update(range(block.b, block.b + block.size))
            left.append((old_start, block.a, new_start, block.b))
            left.append((block.a + block.size, old_end, block.b + block.size, new_end))
    return equal


def _is_comparable(old: Sequence[bytes], new: Sequence[bytes]) -> bool:
    if max(len(old), len(new)) > MOST_COMPARED_LINES:
        return False
    popular = len(new) // _POPULAR_SHARE + 1 if len(new) >= _POPULAR_FROM_LINES else len(new)
    counts = {line: count for line, count in Counter(new).items() if count <= popular}
    return sum(counts.get(line, 0) for line in old) <= MOST_PAIRS


def _untested(path: str, lines: Sequence[int], executed: set[int], missed: set[int]) -> Iterator[_Untested]:
    """Yield the ranges of added lines without one that was executed. Lines that can't run may lie between others."""
    last_added, current = 0, list[int]()
    for line in [*lines, 0]:
        if current and (line != last_added + 1 or line in executed):
            yield _Untested(path, current[0], current[-1], len(current))
            current = []
        if line in missed:
            current.append(line)
        last_added = line


def _result(found: Sequence[_Untested], added: int, passed_over: int) -> CheckResult:
    uncovered = sum(one.count for one in found)
    facts = {"added": added, "uncovered": uncovered, **({"unread": passed_over} if passed_over else {})}
    rest = f" {passed_over} files are too large to compare." if passed_over else ""
    if passed_over == 1:
        rest = " One file is too large to compare."
    if not added:
        message = f"The coverage report knows none of the added lines.{rest}"
    elif not found:
        message = f"The tests touch every added line that can run: {added}.{rest}"
    else:
        named = first_of(list(map(str, found)))
        message = (
            f"No test touches the one added line that can run: {named}.{rest}"
            if added == 1
            else f"No test touches {uncovered} of the {added} added lines that can run: {named}.{rest}"
        )
        log = "\n".join(map(str, found[:MOST_SHOWN]))
        return CheckResult(COVERAGE, "passed", message, code=UNTESTED, log=log, facts=facts)
    return CheckResult(COVERAGE, "passed", message, facts=facts)
