"""What a run of tests reported: the name, result and time of every test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

ON_LOST_TESTS = ("refuse", "warn")
ON_NEW_TESTS = ("refuse", "warn", "off")
MOST_TESTS = 20_000
LONGEST_NAME = 500
MOST_NAME_CHARACTERS = 4_000_000
"""Of all names of a report together."""
_NUMBER = re.compile(r" \(\d+\)\Z")


class TestResult(StrEnum):
    __test__ = False

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not run, or expected to fail."""


@dataclass(frozen=True)
class TestCase:
    """One test. name: unique in its report, where equal names are numbered from the second on, as in `page::test_title
    (2)`; the same in every run. seconds: None if the report does not say."""

    __test__ = False

    name: str
    result: TestResult
    seconds: float | None = None


@dataclass(frozen=True)
class TestReport:
    """The tests of one run. problem: why it can't be used, as words after "The tests gave no report: "; then there are
    no tests."""

    __test__ = False

    tests: tuple[TestCase, ...] = ()
    problem: str | None = None

    @property
    def is_usable(self) -> bool:
        return self.problem is None

    def names(self, *results: TestResult) -> set[str]:
        """The names of the tests with one of these results."""
        return {test.name for test in self.tests if test.result in results}

    def red(self) -> set[str]:
        """The names of the tests that failed. If all of one name failed, these may be its tries: the first stands for
        all."""
        failed = self.names(TestResult.FAILED)
        if not failed:
            return failed
        names = {test.name for test in self.tests}
        others = {_first_of_its_name(test.name, names) for test in self.tests if test.result is TestResult.PASSED}
        firsts = {name: _first_of_its_name(name, names) for name in failed}
        return {name if first in others else first for name, first in firsts.items()}

    def failed_at_last(self) -> set[str]:
        """The names of the tests that failed, but for those that passed later in the same run: a runner that tries a
        failed test again may report each try.
        """
        failed = self.names(TestResult.FAILED)
        if not failed:
            return failed
        names = {test.name for test in self.tests}
        last: dict[str, TestResult] = {}
        for test in self.tests:
            if test.result is not TestResult.SKIPPED:
                last[_first_of_its_name(test.name, names)] = test.result
        return {name for name in failed if last[_first_of_its_name(name, names)] is TestResult.FAILED}

    def without_failed_tries(self) -> Self:
        """Without the tests that failed and ran again later in the same run; the others of their names are numbered
        anew.
        """
        if not self.names(TestResult.FAILED):
            return self
        names = {test.name for test in self.tests}
        ran_later, tried, kept = set[str](), set[str](), list[tuple[str, TestCase]]()
        for test in reversed(self.tests):
            first = _first_of_its_name(test.name, names)
            if test.result is TestResult.FAILED and first in ran_later:
                tried.add(first)
                continue
            kept.append((first, test))
            if test.result is not TestResult.SKIPPED:
                ran_later.add(first)
        numbers, tests = Counter[str](), list[TestCase]()
        for first, test in reversed(kept):
            numbers[first] += 1
            number = numbers[first]
            name = first if number == 1 else f"{first} ({number})"
            tests.append(replace(test, name=name) if first in tried else test)
        return replace(self, tests=tuple(tests))


def _first_of_its_name(name: str, names: Collection[str]) -> str:
    plain = _NUMBER.sub("", name)
    return plain if plain in names else name


def report_path_fault(pattern: str) -> str | None:
    """Why this can't say where a project's tests write their report; None if it can.

    >>> report_path_fault("reports/*.xml"), report_path_fault("../report.xml")
    (None, 'Must be a path or pattern inside the repository')
    """
    path = pattern.removeprefix("./")
    parts = path.split("/")
    if path.startswith(("/", "!", "#")) or "\\" in path or not all(parts) or {".", "..", ".git"} & set(parts):
        return "Must be a path or pattern inside the repository"
    return None
