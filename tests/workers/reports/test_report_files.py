"""Reports of tests: those of each runner are read, and what can't be trusted is refused with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from common.values.testing.test_report import TestReport
from workers.reports.report_files import Reports

RECORDED = Path(__file__).parent / "recorded_reports"
ONE = '<testsuite name="s"><testcase classname="page" name="test_title" time="0.25"/></testsuite>'

PLACES = {
    "pytest": "report.xml",
    "unittest": "TEST-tests.test_page.Page.xml",
    "maven": "target/surefire-reports/TEST-shop.PageTest.xml",
    "gradle": "app/build/test-results/test/TEST-shop.PageTest.xml",
    "nextest": "target/nextest/default/junit.xml",
    "gotestsum": "report.xml",
    "node": "report.xml",
}


@pytest.fixture
def reports(tmp_path: Path) -> Reports:
    """Those of a check that is about to begin."""
    (tmp_path / "code").mkdir()
    made = Reports(tmp_path / "code", tmp_path / "reports", None)
    made.note_commit()
    made.begin()
    return made


def put(reports: Reports, name: str, content: str | bytes) -> Path:
    path = reports.code / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(report: TestReport) -> list[str]:
    assert report.problem is None, report.problem
    return [f"{test.result}: {test.name}" for test in report.tests]


@pytest.mark.parametrize("runner", PLACES)
def test_what_a_runner_wrote_is_read(reports: Reports, runner: str) -> None:
    """pytest, unittest and node as recorded from the runner, the others as it documents its format."""
    if PLACES[runner] == "report.xml":
        reports = replace(reports, wanted="report.xml")
    put(reports, PLACES[runner], (RECORDED / f"{runner}.xml").read_bytes())

    assert lines(reports.read()) == (RECORDED / f"{runner}.txt").read_text().splitlines()


TRIED = (
    '<testsuite name="{name}"><testcase classname="page" name="test_title"/>'
    '<testcase classname="page" name="test_price"/>'
    '<testcase classname="page" name="test_title"><failure/></testcase></testsuite>'
)


def _link(reports: Reports) -> None:
    outside = reports.code.parent / "elsewhere.xml"
    outside.write_text(ONE)
    (reports.code / "report.xml").symlink_to(outside)


def _hard_link(reports: Reports) -> None:
    outside = reports.code.parent / "elsewhere.xml"
    outside.write_text(ONE)
    os.link(outside, reports.code / "report.xml")


def _old(reports: Reports) -> None:
    os.utime(put(reports, "report.xml", ONE), (1, 1))


def _pipe(reports: Reports) -> None:
    os.mkfifo(reports.code / "report.xml")


def _with(content: str) -> Callable[[Reports], None]:
    def make(reports: Reports) -> None:
        put(reports, "report.xml", content)

    return make


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>'
REFUSED: dict[str, tuple[Callable[[Reports], None], str]] = {
    "absent": (lambda reports: None, "no file was found"),
    "link": (_link, "report.xml is a link or can't be read"),
    "hard link": (_hard_link, "report.xml is no file of its own"),
    "pipe": (_pipe, "report.xml is no file of its own"),
    "older than the run": (_old, "report.xml is older than the run"),
    "entities": (_with(BOMB), "report.xml has a document type or entities"),
    "deep": (_with("<testsuite>" * 9999), "a file is nested too deeply or has too many elements"),
    "huge": (_with(" " * (33 * 2**20)), "the files are larger than 32 MiB together"),
    "cut": (_with(ONE[:-9]), "report.xml is no valid XML"),
    "another format": (_with("<coverage/>"), "report.xml is no JUnit XML"),
    "many tests": (
        _with("<testsuite>" + "<testcase name='t'/>" * 20_001 + "</testsuite>"), "there are more than 20000 tests",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_trusted_is_refused(reports: Reports, case: str) -> None:
    reports = replace(reports, wanted="report.xml")
    make, problem = REFUSED[case]
    make(reports)

    assert reports.read() == TestReport(problem=problem)


def test_a_report_in_the_commit_does_not_count(reports: Reports) -> None:
    reports = replace(reports, wanted="report.xml")
    path = put(reports, "report.xml", ONE)
    reports.note_commit()
    path.write_text(ONE)

    assert reports.read().problem == "report.xml is part of the commit"


def test_the_platforms_files_replace_whatever_is_there(reports: Reports) -> None:
    """A pod's HOME stays when its checkout is made once more, and so does what its code left there."""
    outside = reports.code.parent / "outside"
    (outside / "python").mkdir(parents=True)
    for file in ("began", "python/sitecustomize.py"):
        (outside / file).write_text("kept")
    reports.folder.rename(reports.code.parent / "before")
    reports.folder.mkdir()
    os.mkfifo(reports.folder / "began")
    (reports.folder / "python").symlink_to(outside / "python")
    reports.begin()

    assert (outside / "began").read_text() == (outside / "python" / "sitecustomize.py").read_text() == "kept"
    assert reports.mark.read_bytes() == b""
