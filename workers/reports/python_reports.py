"""Has each call of pytest and of `python -m unittest` in a check's command write a report (JUnit XML) of its own.

pytest has an option for that, in which it expands TEST_REPORT_OF. Where the command has this option itself, the report
that it names is copied. unittest has none, so its results are noted; and it runs the tests of some files alone, as its
own option `-k` would: a command that has this option keeps its own.

Not used by the platform itself: the supervisor copies this file as `sitecustomize.py` into a folder of PYTHONPATH,
where every Python of the check's command loads it. So it needs Python 3.7 or later and the standard library alone.
TEST_REPORT_OF: what this process adds to the names of reports. UNITTEST_REPORT: the beginning of the name of the file
that unittest writes; without it none is. UNITTEST_FILES: names of files of tests, such as `test_page.py:test_shop.py`;
without it all tests run. UNITTEST_LEFT_OUT: names of tests that do not run, as reports have them, a line each.
PYTEST_LEFT_OUT: set if pytest leaves out tests; then it may find no other.
"""

from __future__ import annotations

import atexit
import os
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest
    from _typeshed import OptExcInfo

OF = "TEST_REPORT_OF"
INSIDE = "-inside/report"
"""Of what a test starts, such as another pytest: its report, in a folder of its own, does not count."""
PYTEST_NO_TESTS = 5
# Variables of the processes in which pytest, node, Jest, Vitest and cargo nextest run tests.
OF_RUNNING_TESTS = {"PYTEST_CURRENT_TEST", "NODE_TEST_CONTEXT", "JEST_WORKER_ID", "VITEST_WORKER_ID", "NEXTEST"}
MOST_ANCESTORS = 50


def _runs_tests(arguments: list[bytes]) -> bool:
    """Whether these are of a process in which Go, Gradle, Maven or cargo run tests: those set no variable."""
    is_of_jvm_or_go = any(
        one.startswith((b"-test.", b"Gradle Test Executor ")) or (b"/surefirebooter" in one and b" " not in one)
        for one in arguments[1:]
    )
    return is_of_jvm_or_go or (b"/target/" in arguments[0] and b"/deps/" in arguments[0])


def _is_started_by_a_test() -> bool:
    """Whether a process above this one runs tests."""
    if OF_RUNNING_TESTS.intersection(os.environ):
        return True
    pid = os.getppid()
    for _ in range(MOST_ANCESTORS):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if _runs_tests(file.read().split(b"\0")):
                    return True
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            return False
    return False


IS_WANTED = __name__ == "sitecustomize" and OF in os.environ
IS_INSIDE = IS_WANTED and (os.environ[OF] == INSIDE or _is_started_by_a_test())
# Before Python 3.10 a program can't know yet how it was started.
STARTED = getattr(sys, "orig_argv", ["-m", "unittest"])
IS_RUNNER = (
    IS_WANTED and not IS_INSIDE and "UNITTEST_REPORT" in os.environ and "-m" in STARTED and "unittest" in STARTED
)
if IS_WANTED:
    # By the time first: of tests with equal names the order of the files counts.
    os.environ[OF] = INSIDE if IS_INSIDE else f"-{time.time_ns()}-{os.getpid()}"
if IS_RUNNER:
    # The other programs of the command would wait for them in vain.
    import unittest
    from xml.sax.saxutils import quoteattr
IS_STARTED_AS_PYTEST = (
    os.path.basename("".join(STARTED[1:2])) in {"pytest", "py.test"} or "-m pytest " in f"{' '.join(STARTED)} "
)
LEAVES_OUT = IS_WANTED and not IS_INSIDE and "PYTEST_LEFT_OUT" in os.environ and IS_STARTED_AS_PYTEST
# A worker of pytest-xdist has the arguments of the process that writes the report.
MAY_NAME_REPORT = IS_WANTED and not IS_INSIDE and IS_STARTED_AS_PYTEST and "PYTEST_XDIST_WORKER" not in os.environ
OWN_REPORT = ("--junitxml", "--junit-xml")


def _install() -> None:
    """Have unittest's runner note how each test ends."""
    file_path = f"{os.environ['UNITTEST_REPORT']}{os.environ[OF]}.xml"
    os.environ[OF] = INSIDE

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
            _write(file_path, [*((test, "failure") for test in self.tried), *self.ends.items()])

    unittest.TextTestRunner.resultclass = Recording  # type: ignore[assignment]
    files = os.environ.get("UNITTEST_FILES")
    if files:
        modules = [os.path.splitext(name)[0] for name in files.split(":")]
        patterns = [pattern for module in modules for pattern in (f"{module}.*", f"*.{module}.*")]
        unittest.TestLoader.testNamePatterns = patterns


def _leave_out(names: set[str]) -> None:
    """Have unittest's loader find no tests of these names. No test at all is no failure where it left one out."""
    found = unittest.TestLoader.getTestCaseNames

    def names_of(loader: unittest.TestLoader, kind: type[unittest.TestCase]) -> list[str]:
        owner = f"{kind.__module__}.{kind.__qualname__}"
        every = found(loader, kind)
        kept = [name for name in every if f"{owner}::{name}" not in names]
        if len(kept) < len(every):
            sys.modules["unittest.main"]._NO_TESTS_EXITCODE = 0  # type: ignore[attr-defined]
        return kept

    unittest.TestLoader.getTestCaseNames = names_of  # type: ignore[method-assign, assignment]


def _end_well_without_any() -> None:
    """Have pytest exit with 0, not with 5, if no test is left since it left some out: what follows it is to run."""
    given = os.environ.get("PYTEST_PLUGINS", "")
    found: list[str] = []

    def pytest_configure() -> None:
        # What the tests start can't import this plugin.
        os.environ["PYTEST_PLUGINS"] = given

    def pytest_deselected(items: Sequence[pytest.Item]) -> None:
        left_out = tuple(items[0].config.getoption("deselect") or ()) if items else ()
        found.extend(item.nodeid for item in items if item.nodeid.startswith(left_out))

    def pytest_sessionfinish(session: pytest.Session) -> None:
        if found and session.exitstatus == PYTEST_NO_TESTS:
            session.exitstatus = 0

    plugin = type(sys)("tests_left_out", "PYTEST_DONT_REWRITE")
    for hook in (pytest_configure, pytest_deselected, pytest_sessionfinish):
        setattr(plugin, hook.__name__, hook)
    sys.modules[plugin.__name__] = plugin
    os.environ["PYTEST_PLUGINS"] = ",".join(filter(None, (given, plugin.__name__)))


def _copy_own_report() -> None:
    """Have the report that pytest's arguments name copied to the others when pytest ends: it hides the option of
    PYTEST_ADDOPTS."""
    own = ""
    for number, argument in enumerate(STARTED):
        option, is_joined, value = argument.partition("=")
        if option in OWN_REPORT:
            own = value if is_joined else "".join(STARTED[number + 1 : number + 2])
    name = os.path.basename(own)
    # The runtime itself finds reports of such names.
    if not own or (name.startswith("TEST-") and name.endswith(".xml")):
        return
    own = os.path.abspath(os.path.expanduser(os.path.expandvars(own)))
    before = _about(own)
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    copied = os.path.join(folder, f"pytest{os.environ[OF]}.xml")

    def copy() -> None:
        if _about(own) in {before, None}:
            return
        try:
            with open(own, "rb") as report, open(copied, "wb") as file:
                file.write(report.read())
        except OSError:
            # Then there is no report, as before; the tests have their result all the same.
            pass

    atexit.register(copy)


def _about(path: str) -> tuple[int, ...] | None:
    """What changes when the file is written; None if it is no plain file."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return (about.st_ino, about.st_size, about.st_mtime_ns) if stat.S_ISREG(about.st_mode) else None


def _write(path: str, ends: list[tuple[str, str]]) -> None:
    lines = ["<testsuite>"]
    for test, end in ends:
        owner, _, name = test.rpartition(".")
        inner = f"<{end}/>" if end else ""
        lines.append(f"<testcase classname={quoteattr(owner)} name={quoteattr(name)}>{inner}</testcase>")
    lines.append("</testsuite>")
    with open(path, "wb") as file:
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
    _leave_out(set(os.environ.get("UNITTEST_LEFT_OUT", "").splitlines()))
if LEAVES_OUT:
    _end_well_without_any()
if MAY_NAME_REPORT:
    _copy_own_report()
if IS_WANTED:
    _load_the_other()
