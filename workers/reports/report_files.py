"""Finds and reads the reports (JUnit XML) that a check's tests wrote, when all processes of the check have ended.

The repository's code wrote them, so nothing in them is trusted: files that are part of the commit or older than the
run do not count, links are not followed, and XML is read with bounds and without document types and entities.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from common.machine.files import make_anew
from common.machine.lazy_modules import lazy_module
from common.machine.text import path_text
from common.values.testing.test_report import (
    LONGEST_NAME,
    MOST_NAME_CHARACTERS,
    MOST_TESTS,
    TestCase,
    TestReport,
    TestResult,
)
from workers.reports import python_reports
from workers.reports.written_files import Unusable, content_of_run, matching_files, names_in
from workers.static_server import open_inside

if TYPE_CHECKING:
    import junitparser
else:
    junitparser = lazy_module("junitparser")

MOST_FILES = 2_000
MOST_BYTES = 32 * 2**20
"""Of all reports of a run together."""
MOST_DEPTH, MOST_ELEMENTS = 40, 400_000
LONGEST_PACKAGE_BYTES = 2**20
LONGEST_SCRIPT = 10_000
"""Characters of a script in the package file that are looked at."""
USUAL_PLACES = (
    "TEST-*.xml",  # unittest by xmlrunner
    "target/surefire-reports/TEST-*.xml",  # Maven
    "target/failsafe-reports/TEST-*.xml",
    "build/test-results/*/TEST-*.xml",  # Gradle
    "target/nextest/*/junit.xml",  # cargo nextest
)
"""Where runners write reports by default, in the root or in any folder."""
_NODE_REPORTER = Path(__file__).parent / "node_reports.mjs"
_GOTESTSUM = Path(__file__).parent / "gotestsum_reports.sh"
_UNITTEST_RUNNER = re.compile(r"\bpython[\d.]*\b[^;&|\n]*\s-m\s+unittest(?=\s|$)")
_NODE_RUNNER = re.compile(r"\bnode\b[^;&|\n]*\s--test(?=\s|$)")
_RUNS_SCRIPT = re.compile(r"\b(?:npm|pnpm|yarn)\s+(?:run\s+)?(?:-\S+\s+)*test\b|\bnpm\s+t\b")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LEGAL_BYTES = bytes(code if code >= 32 or code in b"\t\n\r" else ord("?") for code in range(256))
_ILLEGAL = re.compile(
    rb"\xef\xbf[\xbe\xbf]|&#(?:0*(?:[0-8]|1[124-9]|2\d|3[01])|x0*(?:[0-8bcef]|1[0-9a-f]|d[89a-f][0-9a-f]{2}|fff[ef]));",
    re.IGNORECASE,
)
"""What stands for characters that no XML has (https://www.w3.org/TR/xml/#charsets), beside single bytes."""


@dataclass(frozen=True)
class Addition:
    """What is added to an environment variable. joint: what stands between it and the value that the variable has;
    None: it takes that value's place. is_first: whether it stands before that value. program: nothing is added unless
    this one is on PATH; None: always."""

    name: str
    value: str
    joint: str | None = None
    is_first: bool = False
    program: str | None = None

    def to(self, value: str) -> str:
        if self.joint is None or not value:
            return self.value
        return self.joint.join((self.value, value) if self.is_first else (value, self.value))


def added(additions: Iterable[Addition], given: Mapping[str, str]) -> dict[str, str]:
    """The variables that change if these are added, one after the other, to those that a command is given. Blocking:
    looks for programs."""
    changed: dict[str, str] = {}
    for one in additions:
        if one.program is not None and shutil.which(one.program, path=given.get("PATH", "")) is None:
            continue
        changed[one.name] = one.to(changed.get(one.name, given.get(one.name, "")))
    return changed


@dataclass
class Reports:
    """The reports of one check. Call `note_commit` after the checkout, `begin` before the command, `read` at its end.

    wanted: the project's pattern; None: what the usual runners write is found. folder: where runners are told to write
    reports; `begin` makes it. began_ns: when the command began, by the file system's clock. committed: paths that are
    part of the commit.
    """

    code: Path
    folder: Path
    wanted: str | None
    began_ns: int = 0
    committed: set[str] = field(default_factory=set)

    @property
    def mark(self) -> Path:
        """A file that is as old as the run."""
        return self.folder / "began"

    def note_commit(self) -> None:
        """Note what is part of the commit. Blocking."""
        self.committed = set(self._matches())

    def begin(self) -> None:
        """Make the folder, and note the time by the file system's own clock. Raises OSError. Blocking. Safe to repeat.

        No code of the repository may run meanwhile.
        """
        make_anew(self.folder)
        for name in ("python", "programs"):
            (self.folder / name).mkdir()
        shutil.copyfile(_GOTESTSUM, self.folder / "programs" / "gotestsum")
        (self.folder / "programs" / "gotestsum").chmod(0o755)
        shutil.copyfile(python_reports.__file__, self.folder / "python" / "sitecustomize.py")
        shutil.copyfile(_NODE_REPORTER, self.folder / _NODE_REPORTER.name)
        self.mark.write_bytes(b"")
        self.began_ns = self.mark.stat().st_mtime_ns

    def additions(self, command: str, only_files: Sequence[str] = (), left_out: Sequence[str] = ()) -> list[Addition]:
        """Environment variables by which pytest, unittest, node's runner and gotestsum write a report, if the project
        names none of its own, and by which pytest and unittest run the tests of some files alone, or leave out some
        tests (see Check). Blocking: reads the package file.
        """
        only = [f"-k {shlex.quote(' or '.join(only_files))}"] if only_files else []
        only += [f"--deselect={shlex.quote(place)}" for name in left_out for place in _places_of_pytest(name)]
        if self.wanted is not None:
            return [Addition("PYTEST_ADDOPTS", option, " ") for option in only]
        # pytest expands the variable, so that each call of it writes a file of its own.
        report = f"--junitxml={shlex.quote(str(self.folder / f'pytest${{{python_reports.OF}}}.xml'))}"
        added = [
            Addition("PYTEST_ADDOPTS", " ".join([*only, report]), " "),
            Addition(python_reports.OF, ""),
            Addition("PYTHONPATH", str(self.folder / "python"), os.pathsep, is_first=True),
            Addition("GOTESTSUM_JUNITFILE", str(self.folder / "gotestsum.xml")),
            Addition("PATH", str(self.folder / "programs"), os.pathsep, is_first=True, program="gotestsum"),
            *([Addition("PYTEST_LEFT_OUT", "1")] if left_out else []),
        ]
        if _UNITTEST_RUNNER.search(command):
            added.append(Addition("UNITTEST_REPORT", str(self.folder / "unittest")))
            added += [Addition("UNITTEST_FILES", ":".join(only_files))] if only_files else []
            added += [Addition("UNITTEST_LEFT_OUT", "\n".join(left_out))] if left_out else []
        if self._is_node_runner(command):
            reporters = ("spec", (self.folder / _NODE_REPORTER.name).as_uri())
            options = [f"--test-reporter={one} --test-reporter-destination=stdout" for one in reporters]
            added.append(Addition("NODE_OPTIONS", " ".join(options), " "))
        return added

    def _is_node_runner(self, command: str) -> bool:
        """Whether the command, or the package's script that it runs, is node's runner with its usual reporter.

        Older releases of node refuse to start with options that they do not know, so others are left alone.
        """
        if _RUNS_SCRIPT.search(command):
            try:
                # The setup command ran before and may have put anything there.
                with open_inside(self.code, "package.json") as file:
                    scripts = json.loads(file.read(LONGEST_PACKAGE_BYTES))["scripts"]
                command = str(scripts["test"])[:LONGEST_SCRIPT]
            except (OSError, ValueError, LookupError, TypeError, RecursionError):
                return False
        return _NODE_RUNNER.search(command) is not None and "--test-reporter" not in command

    def read(self) -> TestReport:
        """Read the reports. Blocking; the check's processes have ended."""
        try:
            return TestReport(tuple(_named_apart(self._cases())))
        except Unusable as error:
            return TestReport(problem=str(error))
        except OSError as error:
            # The command has ended and has its verdict, whatever its files are.
            return TestReport(problem=f"the files can't be read: {error.strerror}")

    def _cases(self) -> Iterator[TestCase]:
        left, passed_over, count = MOST_BYTES, None, 0
        for path, shown in self._files():
            if shown in self.committed:
                passed_over = f"{path_text(shown)} is part of the commit"
                continue
            content = content_of_run(path, path_text(shown), began_ns=self.began_ns, left=left, most=MOST_BYTES)
            if content is None:
                passed_over = f"{path_text(shown)} is older than the run"
                continue
            left, count = left - len(content), count + 1
            if count > MOST_FILES:
                raise Unusable(f"there are more than {MOST_FILES} files")
            is_of_pytest = path.parent == self.folder and path.name.startswith("pytest")
            yield from _parsed(content, path_text(shown), str(self.code), is_of_pytest=is_of_pytest)
        if not count:
            raise Unusable(passed_over or "no file was found")

    def _files(self) -> Iterator[tuple[Path, str]]:
        if self.wanted is None:
            for name in names_in(self.folder, ".xml"):
                yield self.folder / name, f"~/{path_text(name)}"
        for name in self._matches():
            yield self.code / name, name

    def _matches(self) -> list[str]:
        places = [f"/{self.wanted.lstrip('/')}"] if self.wanted is not None else [f"**/{p}" for p in USUAL_PLACES]
        return matching_files(self.code, places)


def _places_of_pytest(name: str) -> Iterator[str]:
    """The ids that pytest may have for a test of its report: nothing tells where its file ends and a class begins.

    >>> list(_places_of_pytest("tests.test_page::test_title"))
    ['tests.py::test_page::test_title', 'tests/test_page.py::test_title']
    """
    owner, _, test = name.partition("::")
    parts = owner.split(".")
    for count in range(1, len(parts) + 1 if test else 0):
        yield "::".join((f"{'/'.join(parts[:count])}.py", *parts[count:], test))


def _parsed(content: bytes, shown: str, code: str, *, is_of_pytest: bool) -> Iterator[TestCase]:
    """Yield the tests of one file. Raises Unusable.

    pytest has one test of a name, and writes it again for each try of it (pytest-rerunfailures) and if its teardown
    fails after it: the last result counts. Elsewhere equal names may be of several tests.
    """
    try:
        root = _root_of_any(content)
    except DefusedXmlException as error:
        raise Unusable(f"{shown} has a document type or entities") from error
    except (ParseError, ValueError, LookupError) as error:
        raise Unusable(f"{shown} is no valid XML") from error
    if root is None or root.tag not in {"testsuites", "testsuite"}:
        raise Unusable(f"{shown} is no JUnit XML")
    found: dict[object, TestCase] = {}
    # Not by recursion, and in the file's order.
    waiting: list[tuple[Element, tuple[str, ...]]] = [(root, ())]
    while waiting:
        element, suites = waiting.pop()
        if element.tag == "testcase":
            is_one = is_of_pytest or suites[-1:] == ("pytest",)
            key = (element.get("classname"), element.get("name")) if is_one else len(found)
            found[key] = _case(junitparser.TestCase.fromelem(element), suites, code)  # type: ignore[no-untyped-call]
        elif element.tag in {"testsuites", "testsuite"}:
            inner = (*suites, element.get("name", "")) if element.tag == "testsuite" else suites
            waiting += [(child, inner) for child in reversed(element)]
    yield from found.values()


def _root_of_any(content: bytes) -> Element | None:
    """As _root, also where there are characters that no XML has: some runners write titles and errors as they are."""
    try:
        return _root(content)
    except ParseError:
        return _root(_ILLEGAL.sub(b"?", content.translate(_LEGAL_BYTES)))


def _root(content: bytes) -> Element | None:
    depth = elements = 0
    root: Element | None = None
    for event, element in iterparse(io.BytesIO(content), events=("start", "end"), forbid_dtd=True):
        if event == "end":
            depth -= 1
            continue
        root = element if root is None else root
        depth, elements = depth + 1, elements + 1
        if depth > MOST_DEPTH or elements > MOST_ELEMENTS:
            raise Unusable("a file is nested too deeply or has too many elements")
    return root


def _case(case: junitparser.TestCase, suites: tuple[str, ...], code: str) -> TestCase:
    """The test as the platform names it: `class::name`; for node's runner, which knows no classes, its suites."""
    of = case.classname if case.classname and case.classname != "test" else " › ".join(filter(None, suites))
    # Some runners name a file by its path, which is another one in each checkout.
    name = "::".join(part for part in (of, case.name) if part).replace(f"{code}/", "")
    result = TestResult.PASSED
    # Skipped comes first: node reports a `todo` that fails, which does not fail the run, as both.
    if case.is_skipped:
        result = TestResult.SKIPPED
    elif case.is_failure or case.is_error:
        result = TestResult.FAILED
    try:
        seconds = case.time
    except ValueError:
        seconds = None
    bounded = seconds if seconds is not None and 0 <= seconds < 1e7 else None
    return TestCase(_CONTROL.sub(" ", name).strip()[:LONGEST_NAME], result, bounded)


def _named_apart(cases: Iterator[TestCase]) -> Iterator[TestCase]:
    """Number tests of the same name. Raises Unusable if there are too many tests or their names are too long."""
    seen: dict[str, int] = {}
    characters = 0
    for count, case in enumerate(cases, 1):
        characters += len(case.name)
        if count > MOST_TESTS:
            raise Unusable(f"there are more than {MOST_TESTS} tests")
        if characters > MOST_NAME_CHARACTERS:
            raise Unusable("the names of the tests are too long")
        number = seen[case.name] = seen.get(case.name, 0) + 1
        yield case if number == 1 else TestCase(f"{case.name} ({number})", case.result, case.seconds)
