"""Reports of tests: those of each runner are read, and what can't be trusted is refused with the reason."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from common.values.check import CheckPhase
from common.values.test_report import TestReport
from common.values.variable_set import Variables
from tests.providers.runtime_contract import check_of, finished
from tests.providers.runtime_supervisor import Repository, supervised
from tests.workers.supervisor.test_setup import SPACE
from workers.supervisor.report_files import Reports

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


def test_what_pytest_reports_twice_is_one_test_and_the_last_result_counts(reports: Reports) -> None:
    """As for the tries of pytest-rerunfailures, and for a test that fails before its teardown does."""
    (reports.folder / "pytest-1.xml").write_text(TRIED.format(name="of the project"))
    (reports.folder / "pytest-2.xml").write_text(TRIED.format(name="pytest"))
    again = ["failed: page::test_title (2)", "passed: page::test_price (2)"]
    assert lines(reports.read()) == ["failed: page::test_title", "passed: page::test_price", *again]

    reports = replace(reports, wanted="report.xml")
    put(reports, "report.xml", TRIED.format(name="pytest"))
    assert lines(reports.read()) == ["failed: page::test_title", "passed: page::test_price"]
    put(reports, "report.xml", TRIED.format(name="of the project"))
    assert lines(reports.read()) == [
        "passed: page::test_title",
        "passed: page::test_price",
        "failed: page::test_title (2)",
    ]


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


def _package(script: str) -> str:
    return f'{{"scripts": {{"test": "{script}"}}}}'


def _package_link(path: Path) -> None:
    outside = path.parent.parent / "package.json"
    outside.write_text(_package("node --test"))
    path.symlink_to(outside)


def _sparse_package(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


PACKAGES: dict[str, tuple[Callable[[Path], object], bool]] = {
    "node's runner": (lambda path: path.write_text(_package("node --test")), True),
    "another runner": (lambda path: path.write_text(_package("jest")), False),
    "a link out of the checkout": (_package_link, False),
    "a pipe": (os.mkfifo, False),
    "a terabyte": (_sparse_package, False),
    "too deep": (lambda path: path.write_text("[" * 100_000), False),
}


@pytest.mark.parametrize("case", PACKAGES)
def test_the_package_that_a_setup_left_is_read_with_bounds(reports: Reports, case: str) -> None:
    make, is_nodes_runner = PACKAGES[case]
    make(reports.code / "package.json")

    assert ("NODE_OPTIONS" in {addition.name for addition in reports.additions("npm test")}) is is_nodes_runner


NODE_TEST = """import { describe, test } from "node:test";
import assert from "node:assert";

describe("page", () => {
  test("has a title", () => assert.equal(1, 1));
  test("has no \\x1b in it", () => assert.equal(1, 1));
  test("is shown", { skip: true }, () => assert.equal(1, 2));
});
"""


@pytest.mark.slow
def test_the_report_of_nodes_runner_is_found_by_itself(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    package = '{"type": "module", "scripts": {"test": "node --test"}}'
    version = repository.version("x", repository.commit(**{"page.test.js": NODE_TEST, "package.json": package}))
    with supervised(tmp_path / "runtime") as running:
        check = check_of(version, SPACE, "c", "node --test")
        running.runtime.ensure_check(check)
        state = finished(running.runtime, check)

    assert (state.phase, state.report and lines(state.report)) == (
        CheckPhase.PASSED,
        ["passed: page::has a title", "passed: page::has no ? in it", "skipped: page::is shown"],
    ), state.log
    assert "has a title" in state.log


UNITTEST = """import unittest


class Page(unittest.TestCase):
    def test_title(self):
        self.assertTrue(True)

    def test_parts(self):
        for part in range(2):
            with self.subTest(part=part):
                self.assertEqual(part, 0)

    @unittest.skip("later")
    def test_later(self):
        pass

    @unittest.expectedFailure
    def test_expected(self):
        self.assertEqual(1, 2)


class Retried(unittest.TestCase):
    tries = 0

    def run(self, result=None):
        super().run(result)
        if self.tries == 1:
            result.failures.pop()
            super().run(result)

    def test_twice(self):
        self.tries += 1
        self.assertEqual(self.tries, 2)
"""


@pytest.mark.slow
def test_the_report_of_unittest_is_found_by_itself(tmp_path: Path) -> None:
    """Also where a folder of PYTHONPATH has a sitecustomize of its own, which is loaded as well."""
    repository = Repository(tmp_path / "repository")
    files = {"test_page.py": UNITTEST, "test_broken.py": "import nothing_at_all", "sitecustomize.py": "print('mine')"}
    version = repository.version("x", repository.commit(**files))
    with supervised(tmp_path / "runtime") as running:
        check = replace(
            check_of(version, SPACE, "c", f"{sys.executable} -m unittest"), variables=Variables({"PYTHONPATH": "."})
        )
        running.runtime.ensure_check(check)
        state = finished(running.runtime, check)

    assert (state.code, state.log.count("mine")) == ("exited", 1), state.log
    assert state.report is not None
    assert sorted(lines(state.report)) == [
        "failed: test_page.Page::test_parts",
        "failed: test_page.Retried::test_twice",
        "failed: unittest.loader._FailedTest::test_broken",
        "passed: test_page.Page::test_title",
        "passed: test_page.Retried::test_twice (2)",
        "skipped: test_page.Page::test_expected",
        "skipped: test_page.Page::test_later",
    ]
