"""Has `python -m unittest` write a report (JUnit XML), as that runner has no option for it, and run the tests of some
files alone, as its own option `-k` would: a command that has this option keeps its own.

Not used by the platform itself: the supervisor copies this file as `sitecustomize.py` into a folder of PYTHONPATH,
where every Python of the check's command loads it. So it needs Python 3.7 or later and the standard library alone.
UNITTEST_REPORT: the file to write. UNITTEST_FILES: names of files of tests, such as `test_page.py:test_shop.py`;
without it all tests run.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import OptExcInfo

IS_WANTED = __name__ == "sitecustomize" and "UNITTEST_REPORT" in os.environ
# Before Python 3.10 a program can't know yet how it was started.
STARTED = getattr(sys, "orig_argv", ["-m", "unittest"])
IS_RUNNER = IS_WANTED and "-m" in STARTED and "unittest" in STARTED
if IS_RUNNER:
    # The other programs of the command would wait for them in vain.
    import unittest
    from xml.sax.saxutils import quoteattr


def _install() -> None:
    """Have unittest's runner note how each test ends."""

    class Recording(unittest.TextTestResult):
        """ends: id of the test → `failure`, `skipped`, or nothing if it passed. tried: ids of tests that began again
        after they had failed, as code of the project may let them."""

        def startTestRun(self) -> None:
            self.ends: dict[str, str] = {}
            self.tried: list[str] = []
            super().startTestRun()

        def _note(self, test: unittest.TestCase, end: str) -> None:
            if self.ends.get(test.id()) != "failure":
                self.ends[test.id()] = end

        def startTest(self, test: unittest.TestCase) -> None:
            if self.ends.get(test.id()) == "failure":
                self.tried.append(test.id())
                self.ends[test.id()] = ""
            self._note(test, "")
            super().startTest(test)

        def addSkip(self, test: unittest.TestCase, reason: str) -> None:
            self._note(test, "skipped")
            super().addSkip(test, reason)

        def addExpectedFailure(self, test: unittest.TestCase, err: OptExcInfo) -> None:
            self._note(test, "skipped")
            super().addExpectedFailure(test, err)

        def addError(self, test: unittest.TestCase, err: OptExcInfo) -> None:
            self._note(test, "failure")
            super().addError(test, err)

        def addFailure(self, test: unittest.TestCase, err: OptExcInfo) -> None:
            self._note(test, "failure")
            super().addFailure(test, err)

        def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
            self._note(test, "failure")
            super().addUnexpectedSuccess(test)

        def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: OptExcInfo | None) -> None:
            if err is not None:
                self._note(test, "failure")
            super().addSubTest(test, subtest, err)

        def stopTestRun(self) -> None:
            super().stopTestRun()
            _write([*((test, "failure") for test in self.tried), *self.ends.items()])

    unittest.TextTestRunner.resultclass = Recording  # type: ignore[assignment]
    files = os.environ.get("UNITTEST_FILES")
    if files:
        modules = [os.path.splitext(name)[0] for name in files.split(":")]
        patterns = [pattern for module in modules for pattern in (f"{module}.*", f"*.{module}.*")]
        unittest.TestLoader.testNamePatterns = patterns


def _write(ends: list[tuple[str, str]]) -> None:
    lines = ["<testsuite>"]
    for test, end in ends:
        owner, _, name = test.rpartition(".")
        inner = f"<{end}/>" if end else ""
        lines.append(f"<testcase classname={quoteattr(owner)} name={quoteattr(name)}>{inner}</testcase>")
    lines.append("</testsuite>")
    with open(os.environ["UNITTEST_REPORT"], "wb") as file:
        file.write("\n".join(lines).encode("ascii", "xmlcharrefreplace"))


def _load_the_other() -> None:
    """Load the `sitecustomize` that this file hides, if there is one."""
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != own]
    hidden = sys.modules.pop("sitecustomize")
    try:
        __import__("sitecustomize")
    except ImportError:
        sys.modules["sitecustomize"] = hidden


if IS_RUNNER:
    _install()
if IS_WANTED:
    _load_the_other()
