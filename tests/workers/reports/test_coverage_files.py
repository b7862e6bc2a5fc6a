"""Reports of coverage: those of the usual tools are read, and what can't be trusted is refused with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.values.testing.coverage import Coverage, FileCoverage
from workers.reports.coverage_files import MOST_LINES, CoverageFiles
from workers.reports.coverage_measuring import Measuring

LINES = '<line number="1" hits="1"/><line number="2" hits="3"/><line number="4" hits="0"/>'
PAGE = FileCoverage("src/page.py", "1-2", "4")
DOCTYPE = '<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">'


def cobertura(filename: str, *sources: str, lines: str = LINES, before: str = "") -> str:
    roots = "".join(f"<source>{source}</source>" for source in sources)
    inner = f'<class filename="{filename}"><methods/><lines>{lines}</lines></class>'
    packages = f"<packages><package><classes>{inner}</classes></package></packages>"
    return f'<?xml version="1.0" ?>{before}<coverage><sources>{roots}</sources>{packages}</coverage>'


def lcov(path: str) -> str:
    return f"TN:\nSF:{path}\nFN:1,title\nDA:1,1\nDA:2,3,abc\nBRDA:2,0,0,1\nDA:4,0\nLF:3\nLH:2\nend_of_record\n"


@dataclass
class Run:
    """A check whose command is about to begin. files: in its checkout."""

    files: CoverageFiles
    outside: Path
    began_ns: int = 0

    @property
    def code(self) -> Path:
        return self.files.code

    def put(self, name: str, content: str) -> Path:
        path = self.code / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def read(self) -> Coverage | None:
        return self.files.read(began_ns=self.began_ns)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(CoverageFiles(tmp_path / "code"), tmp_path / "outside")
    made.put("src/page.py", "")
    made.outside.mkdir()
    made.files.note_commit()
    return Run(made.files, made.outside, made.put("began", "").stat().st_mtime_ns)


REPORTS: dict[str, tuple[str, Callable[[Path], str]]] = {
    "a path from the root": ("coverage.xml", lambda code: cobertura("src/page.py", str(code))),
    "below a source root": ("coverage.xml", lambda code: cobertura("page.py", "/elsewhere", f"{code}/src")),
    "an absolute path": ("coverage.xml", lambda code: cobertura(f"{code}/src/page.py")),
    "of istanbul, with a document type": (
        "coverage/cobertura-coverage.xml", lambda code: cobertura("src/page.py", str(code), before=DOCTYPE),
    ),
    "lcov": ("lcov.info", lambda code: lcov("src/page.py")),
    "lcov with the ends of lines of Windows": (
        "lcov.info", lambda code: lcov("src/page.py").replace("\n", "\r\n"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("report", REPORTS)
def test_what_a_tool_wrote_is_read(run: Run, report: str) -> None:
    name, content = REPORTS[report]
    run.put(name, content(run.code))

    assert run.read() == Coverage((PAGE,))


def test_a_line_that_any_report_executed_is_executed(run: Run) -> None:
    run.put("coverage.xml", cobertura("src/page.py"))
    run.put("coverage/lcov.info", "SF:src/page.py\nDA:4,1\nDA:2,0\nDA:6,0\nend_of_record\n")

    assert run.read() == Coverage((FileCoverage("src/page.py", "1-2,4", "6"),))


@pytest.mark.parametrize("path", ["/etc/hostname", "../outside/page.py", "gone.py"])
def test_files_outside_of_the_checkout_do_not_count(run: Run, path: str) -> None:
    (run.outside / "page.py").write_text("")
    run.put("lcov.info", lcov(path))

    assert run.read() == Coverage()


def test_a_link_of_the_tests_does_not_tell_what_lies_outside(run: Run) -> None:
    """The platform sees more than the tests do, and would say whether a file is there."""
    (run.outside / "page.py").write_text("")
    (run.code / "out").symlink_to(run.outside)
    (run.code / "link.py").symlink_to(run.outside / "page.py")
    (run.code / "linked").symlink_to("src")
    run.put("lcov.info", "".join(lcov(path) for path in ("out/page.py", "link.py", "linked/page.py")))

    assert run.read() == Coverage((FileCoverage("linked/page.py", "1-2", "4"),))


def _with(content: str, name: str = "coverage.xml") -> Callable[[Run], None]:
    def make(run: Run) -> None:
        run.put(name, content)

    return make


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><coverage>&b;</coverage>'
MANY = "".join(f"DA:{number},1\n" for number in range(1, MOST_LINES + 2))
REFUSED: dict[str, tuple[Callable[[Run], None], str]] = {
    "entities": (_with(BOMB), "coverage.xml has entities"),
    "deep": (_with("<coverage>" * 99), "coverage.xml is nested too deeply or has too many elements"),
    "many lines": (_with(f"SF:src/page.py\n{MANY}end_of_record\n", "lcov.info"), "it names too many files or lines"),
    "another format": (_with("<coverage><project/></coverage>"), "coverage.xml is no Cobertura XML"),
    "no LCOV": (_with("hello\n", "lcov.info"), "lcov.info is no LCOV"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_trusted_is_refused(run: Run, case: str) -> None:
    make, problem = REFUSED[case]
    make(run)

    assert run.read() == Coverage(problem=problem)


def test_without_a_report_of_this_run_there_is_none(run: Run) -> None:
    assert run.read() is None

    path = run.put("coverage.xml", cobertura("src/page.py"))
    os.utime(path, (1, 1))
    assert run.read() is None

    run.files.note_commit()
    path.write_text(cobertura("src/page.py"))
    assert run.read() is None


@pytest.fixture
def measured(run: Run) -> Run:
    """Of a check that has its tests measured."""
    run.files.measuring = Measuring(run.code, run.outside / "measured")
    run.files.measuring.begin()
    return run


def test_what_was_measured_is_read_under_the_same_rules(measured: Run) -> None:
    assert measured.files.measuring is not None
    folder = measured.files.measuring.folder
    (folder / "python-1.info").write_text(lcov("src/page.py"))
    (folder / "python-2.info").write_text(lcov(f"{measured.outside}/secret.py"))
    assert measured.read() == Coverage((PAGE,))

    (folder / "python-2.info").unlink()
    (folder / "python-2.info").symlink_to(folder / "python-1.info")
    assert measured.read() == Coverage(problem="~/python-2.info is a link or can't be read")

    (folder / "python-2.info").unlink()
    (folder / "python-2.info").write_text("hello\n")
    assert measured.read() == Coverage(problem="~/python-2.info is no LCOV")
