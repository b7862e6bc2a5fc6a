"""Reports that a pod hands over arrive whole or not at all."""

from __future__ import annotations

import random

import pytest

from common.values.testing import collected_reports
from common.values.testing.collected_reports import (
    LINE_CHARACTERS,
    MOST_LINES,
    TOO_LARGE,
    CollectedReports,
    pack,
    unpack,
)
from common.values.testing.coverage import Coverage, FileCoverage
from common.values.testing.test_report import TestCase, TestReport, TestResult

BROKEN = CollectedReports(TestReport(problem="what the pod handed over is cut or broken"))
SOME = CollectedReports(
    TestReport((TestCase("page::tést \udcff", TestResult.PASSED, 0.25), TestCase("b", TestResult.SKIPPED))),
    Coverage((FileCoverage("page.py", "1-3,7", "4"),)),
)


def noise(length: int) -> str:
    """Text that can't be compressed."""
    return random.Random(1).randbytes(length // 2).hex()


def large(count: int) -> TestReport:
    text = noise(count * 400)
    names = (text[number * 400 : number * 400 + 400] for number in range(count))
    return TestReport(tuple(TestCase(name, TestResult.PASSED) for name in names))


@pytest.mark.parametrize(
    "collected", [SOME, CollectedReports(TestReport(problem="no file was found")), CollectedReports(large(1_000))]
)
def test_what_was_packed_arrives(collected: CollectedReports) -> None:
    text = pack(collected)

    assert unpack(text) == collected
    assert unpack("a warning of the container's\n" + text) == collected
    assert len(text.splitlines()) < MOST_LINES
    assert max(map(len, text.splitlines())) <= LINE_CHARACTERS


def test_what_is_missing_cut_or_broken_is_no_report() -> None:
    text = pack(CollectedReports(large(300)))
    header, *lines = text.splitlines(keepends=True)
    assert unpack("") == CollectedReports(TestReport(problem="the pod handed none over"))
    assert unpack("".join(lines)).report.problem == "the pod handed none over"
    for broken in (
        header, text[: len(text) // 2], "".join([header, *lines[:-1]]), "".join([header, *lines[1:]]),
        header + "x" * 64, header + "ünicode", "".join([header, *lines[::-1]]),
        header + "".join(lines).replace("a", "b"),
    ):  # fmt: skip
        assert unpack(broken) == BROKEN


def test_what_is_too_large_says_so_the_coverage_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collected_reports, "MOST_PACKED_BYTES", 2**15)
    heavy = Coverage(tuple(FileCoverage(noise(40_000) + str(number)) for number in range(3)))
    light = SOME.report
    assert unpack(pack(CollectedReports(light, heavy))) == CollectedReports(light, Coverage(problem=TOO_LARGE))
    assert unpack(pack(CollectedReports(large(300), heavy))) == CollectedReports(
        TestReport(problem=TOO_LARGE), Coverage(problem=TOO_LARGE)
    )
