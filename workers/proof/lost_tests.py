"""Compares the tests that ran on a commit with those that ran on the commit below it."""

from __future__ import annotations

import functools
import heapq
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from common.values.testing.test_report import TestReport, TestResult
from workers.proof.sources.test_bodies import WORD, Bodies, Key, short_names, words_of

RAN = (TestResult.PASSED, TestResult.FAILED)
SKIPPED, EMPTIED, GONE = "skipped", "emptied", "does not run"
_WITH_WORDS = re.compile(
    r"pytest::(?:[\w-]+\.)*(?P<module>[\w-]+)|unittest\.loader\._FailedTest(?:\.\w+)*::(?P<loaded>\w+)"
    r"|(?:setUp|tearDown)(?:Class|Module) \((?:\w+(?:\.|::))*(?P<fixture>\w+)\)"
    r"|(?:[^\s:]*[/.])?(?P<package>[\w-]+)::TestMain|(?:\w+\.)*(?P<class>\w+)::initializationError"
)
_OF_SCRIPT = re.compile(
    r"(?:(?P<path>[^\s:]+)::(?=(?P=path)\Z))?(?:[^\s:/]+/)*(?P<file>[\w-]+)(?:\.[\w-]+)*\.[cm]?[jt]sx?"
)
"""How runners name what is no test: a file or package that can't be loaded, or what a class or file needs around its
tests. Of the first, a word stands in the names of the tests, too."""


@dataclass(frozen=True)
class LostTest:
    """A test that ran below and shows nothing any more. why: SKIPPED, EMPTIED, GONE, or as Bodies.unread."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.why}: {self.name}"


@dataclass(frozen=True)
class Comparison:
    """losses, new: sorted by name. changed: tests of both commits with another body. renamed: how many.

    is_by_body: False if no bodies could be read, so that tests are known by their names alone.
    """

    lost_cases: Sequence[LostTest]
    new: Sequence[str]
    changed: Sequence[str]
    renamed: int
    is_by_body: bool = True


def compare(base: TestReport, head: TestReport, before: Bodies, after: Bodies) -> Comparison:
    """Compare two usable reports. before, after: the bodies in the files of tests that differ.

    A test that does not run any more is not lost if a new one that ran has its body: it was renamed or moved; nor if
    they differ by their parameters alone and their file is unchanged, as these may follow the product. Each new test
    stands for one. A try that failed before another one is no test of its own. A file that could not be loaded, and now
    has tests that run, is not lost either.
    """
    base, head = base.without_failed_tries(), head.without_failed_tries()
    before.tell_apart(test.name for test in base.tests)
    after.tell_apart(test.name for test in head.tests)
    ran_before, ran_now = base.names(*RAN), head.names(*RAN)
    skipped = head.names(TestResult.SKIPPED)
    new = ran_now - ran_before - base.names(TestResult.SKIPPED)
    new -= {name for name in new & head.names(TestResult.FAILED) if _is_of_another_file(name, after)}
    lost_cases, renamed, successors = [], set[str](), _Successors(new, before, after)
    siblings, mended = _Siblings(new, before, after), _Mended(base, ran_now, before, after)
    for name in sorted(ran_before - ran_now):
        if name in skipped:
            lost_cases.append(LostTest(name, SKIPPED))
            continue
        again = successors.take(name) or siblings.take(name)
        if again is None:
            if not mended.covers(name):
                lost_cases.append(LostTest(name, GONE))
        else:
            renamed.add(again)
    both = sorted(ran_before & ran_now)
    unread = {name: why for name in both if (why := after.why_unread(name, before)) is not None}
    lost_cases += [LostTest(name, why) for name, why in unread.items()]
    lost_cases += [LostTest(name, EMPTIED) for name in both if name not in unread and after.has_emptied(name, before)]
    differ = functools.cache(lambda old, now: before.of_keys(old) != after.of_keys(now))
    changed = [name for name in both if (old := before.keys_of(name)) and differ(old, after.keys_of(name))]
    return Comparison(sorted(lost_cases, key=lambda loss: loss.name), sorted(new - renamed), changed, len(renamed))


def combined(first: TestReport, second: TestReport) -> TestReport:
    """The tests of two runs of one commit, each with its result of the second if it ran there."""
    if not (first.is_usable and second.is_usable):
        return second if second.is_usable else first
    results = {test.name: test for test in (*first.tests, *second.tests)}
    return TestReport(tuple(results.values()))


def all_lost(base: TestReport) -> Comparison:
    """What to compare with a commit that has no report."""
    return Comparison([LostTest(name, GONE) for name in sorted(base.names(*RAN))], [], [], 0)


class _Successors:
    """The new tests that can fail, by their bodies, to take from. It takes linear time, but for names that very many
    bodies have.
    """

    def __init__(self, new: Collection[str], before: Bodies, after: Bodies) -> None:
        self._before = before
        self._taken: set[str] = set()
        self._left = defaultdict[Key, list[str]](list)
        """By the keys of their bodies, the least of each at the end."""
        for test in sorted(new, reverse=True):
            if after.can_fail(test):
                for key in after.keys_of(test):
                    self._left[key].append(test)
        self._heaps = defaultdict[str, list[tuple[str, Key]]](list)
        """By the digest of a body: the least test of each key that has it, and that key."""
        for key in self._left:
            for digest in after.of_keys([key]):
                heapq.heappush(self._heaps[digest], (self._left[key][-1], key))

    def take(self, test: str) -> str | None:
        """The first by name that has a body of this test of the commit below, and was not taken before."""
        if not self._before.can_fail(test):
            return None
        bodies = self._before.of(test)
        found = min((first for digest in bodies if (first := self._first(digest)) is not None), default=None)
        if found is not None:
            self._taken.add(found)
        return found

    def _first(self, digest: str) -> str | None:
        heap = self._heaps.get(digest, [])
        while heap and heap[0][0] in self._taken:
            key = heap[0][1]
            left = self._left[key]
            while left and left[-1] in self._taken:
                left.pop()
            if left:
                heapq.heapreplace(heap, (left[-1], key))
            else:
                heapq.heappop(heap)
        return heap[0][0] if heap else None


class _Siblings:
    """The new tests of files that are unchanged, by their class and name without parameters, to take from."""

    def __init__(self, new: Collection[str], before: Bodies, after: Bodies) -> None:
        self._changed = (before, after)
        self._left = defaultdict[tuple[str, str], list[str]](list)
        """The least of each at the end."""
        for test in sorted(new, reverse=True):
            key = self._key(test)
            if key is not None:
                self._left[key].append(test)

    def take(self, test: str) -> str | None:
        """The first by name that differs from this test of the commit below by its parameters alone, and was not taken
        before."""
        key = self._key(test)
        return self._left[key].pop() if key is not None and self._left[key] else None

    def _key(self, test: str) -> tuple[str, str] | None:
        """None for a test without parameters, and for one whose file may be changed."""
        names = short_names(test)
        if len(names) == 1 or any(bodies.is_known(test) or bodies.files & words_of(test) for bodies in self._changed):
            return None
        return test.rpartition("::")[0], names[1]


class _Mended:
    """What failed on the commit below and is no test, but a file or class whose tests run now."""

    def __init__(self, base: TestReport, ran_now: Collection[str], before: Bodies, after: Bodies) -> None:
        self._failed = base.names(TestResult.FAILED)
        self._words = set[str]().union(*(WORD.findall(name) for name in ran_now)) if self._failed else set[str]()
        self._is_changed = before.files | after.files
        self._have_tests = after.full_files

    def covers(self, name: str) -> bool:
        if name not in self._failed:
            return False
        if (found := _WITH_WORDS.fullmatch(name)) is not None:
            return next(filter(None, found.groups())) in self._words
        if (found := _OF_SCRIPT.fullmatch(name)) is None:
            return False
        # Of node's runner, the names of tests do not say their file.
        file = found["file"]
        return file in self._words or file not in self._is_changed or file in self._have_tests


def _is_of_another_file(name: str, after: Bodies) -> bool:
    """Whether it is no test, but stands for a file or class in a file that is not changed."""
    is_no_test = _WITH_WORDS.fullmatch(name) or _OF_SCRIPT.fullmatch(name)
    return is_no_test is not None and after.files.isdisjoint(WORD.findall(name))
