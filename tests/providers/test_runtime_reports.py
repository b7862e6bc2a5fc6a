"""What the tests of a check reported is known, on every runtime whose programs really run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from common.providers.runtime import Runtime
from common.values.delivery.app import ProjectNamespace
from common.values.needs import Needs
from common.values.repository import Source
from common.values.testing.check import Check, CheckPhase, CheckState
from common.values.testing.collected_reports import CollectedReports, pack
from common.values.testing.coverage import Coverage, FileCoverage
from common.values.testing.test_report import TestCase, TestReport, TestResult
from common.values.variable_set import Variables
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.node import ProcessNode
from tests.e2e.origin import served_repository
from tests.providers.git_work_tree import git
from tests.providers.runtime_cluster import runtime_on
from tests.providers.runtime_contract import finished
from tests.providers.runtime_supervisor import supervised

pytestmark = pytest.mark.slow

SPACE = ProjectNamespace("shop-0000beef", "project-1")
PYTEST = f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -q -p no:cacheprovider tests"
UNITTEST = f"{sys.executable} -m unittest"
ONE = '<testsuite name="s"><testcase classname="page" name="test_title" time="0.25"/></testsuite>'
FILES = {
    "tests/test_page.py": "import pytest\n\n\ndef test_title():\n    pass\n\n\n"
    "def test_price():\n    assert False\n\n\n@pytest.mark.skip\ndef test_later():\n    pass\n",
    "tests/test_other.py": "def test_other():\n    pass\n",
    "page.py": "a = 1\nb = 2\n",
    "cases.py": "import unittest\n\n\nclass Page(unittest.TestCase):\n    def test_title(self):\n        pass\n",
    "shop/__init__.py": "",
    "shop/test_cases.py": "import cases\n\n\nclass Shop(cases.Page):\n    pass\n",
    "shop/test_cases_more.py": "import cases\n\n\nclass More(cases.Page):\n    pass\n",
    "tests/cases_measured.py": "import multiprocessing\nimport subprocess\nimport sys\n\nimport measured\n\n\n"
    "def test_started():\n    subprocess.run([sys.executable, measured.__file__], check=True)\n\n\n"
    "def test_forked():\n    child = multiprocessing.get_context('fork').Process(target=measured.forked)\n"
    "    child.start()\n    child.join()\n",
    "tests/cases_that_run_pytest.py": "import subprocess\nimport sys\n\n\ndef test_started():\n"
    "    assert subprocess.call([sys.executable, '-m', 'pytest', 'tests/test_page.py']) == 1\n",
    "measured.py": "def never():\n    return 2\n\n\n"
    "def forked():\n    return 6\n\n\nif __name__ == '__main__':\n    print()\n",
    "page.js": "function title() {\n  return 1;\n}\n\n"
    "function price() {\n  return 2;\n}\n\nmodule.exports = { title };\n",
    "page.test.js": "const { title } = require('./page.js');\nrequire('node:test')('title', () => title());\n",
    "target/surefire-reports/TEST-committed.xml": ONE,
    "one.xml": ONE,
}
OTHER = "tests.test_other::test_other"
NAMED = ("tests.test_page::test_title", "tests.test_page::test_price", "tests.test_page::test_later")
MEASURED = {
    f"{PYTEST}/cases_measured.py": ("measured.py", "2"),
    f"{sys.executable} -m unittest cases": ("measured.py", "1-2,5-6,9-10"),
    "node --test page.test.js": ("page.js", "5-7"),
}
"""By command: a file, and its lines that no test executes."""
FAKE = pack(CollectedReports(TestReport((TestCase("made up", TestResult.PASSED),))))


@pytest.fixture
def a_check(runtime: Runtime, tmp_path: Path) -> Iterator[Check]:
    with served_repository(tmp_path, FILES) as address:
        runtime.ensure_environment(SPACE)
        head = git("rev-parse", "HEAD", at=tmp_path / "origin")
        yield Check(SPACE, "check-1", head, PYTEST, Source(address), timeout_seconds=60)


class ReportsContract:
    """A subclass gives the fixture `runtime`."""

    def test_each_test_is_known_with_its_result(self, runtime: Runtime, a_check: Check) -> None:
        state = _run(runtime, a_check)

        assert (state.phase, state.exit_code) == (CheckPhase.FAILED, 1)
        assert state.report is not None
        results = {test.name: test.result for test in state.report.tests}
        assert results.pop(OTHER) is TestResult.PASSED
        assert results == dict(zip(NAMED, (TestResult.PASSED, TestResult.FAILED, TestResult.SKIPPED), strict=True))
        assert runtime.ensure_check(a_check) == state
        assert "aiworker-reports" not in state.log

    @pytest.mark.parametrize(
        ("command", "name", "left"),
        [
            (f"{PYTEST}/test_page.py", NAMED[1], [NAMED[2], NAMED[0]]),
            (
                f"{UNITTEST} shop.test_cases cases",
                "shop.test_cases.Shop::test_title",
                ["cases.Page::test_title"],
            ),
        ],
    )
    def test_tests_can_be_left_out(
        self, runtime: Runtime, a_check: Check, command: str, name: str, left: list[str]
    ) -> None:
        state = _run(runtime, replace(a_check, command=command, left_out=("no such test", name)))

        assert state.report is not None
        assert sorted(test.name for test in state.report.tests) == left
        assert state.phase is CheckPhase.PASSED, state.log

    def test_only_files_of_the_run_count(self, runtime: Runtime, a_check: Check) -> None:
        committed = "target/surefire-reports/TEST-committed.xml is part of the commit"
        assert _run(runtime, replace(a_check, command="touch target/*/*")).report == TestReport(problem=committed)

        old = Needs("mkdir reports && cp one.xml reports/old.xml && touch -d 2020-01-01 reports/*")
        check = replace(a_check, check_id="check-2", command="true", test_report="reports/*.xml", needs=old)
        assert _run(runtime, check).report == TestReport(problem="reports/old.xml is older than the run")

        check = replace(check, check_id="check-3", command="mkdir reports; cp one.xml reports/new.xml", needs=Needs())
        assert _run(runtime, check).report == TestReport((TestCase("page::test_title", TestResult.PASSED, 0.25),))

        check = replace(check, check_id="check-4", command="mkdir reports; ln -s ../one.xml reports/new.xml")
        problem = "reports/new.xml is a link or can't be read"
        assert _run(runtime, check).report == TestReport(problem=problem)

    @pytest.mark.parametrize("command", MEASURED)
    def test_coverage_is_measured_if_that_is_asked(self, runtime: Runtime, a_check: Check, command: str) -> None:
        """Of pytest, unittest and node's runner, also of what the tests start, and of files that no test loads."""
        name, missed = MEASURED[command]
        if command.startswith("node") and shutil.which("node") is None:
            pytest.skip("needs node")
        state = _run(runtime, replace(a_check, command=f"{command} && ! ls -A | grep cov", measures_coverage=True))

        assert (state.phase, state.log) == (CheckPhase.PASSED, state.log)
        assert state.coverage is not None
        assert {file.path: file.missed for file in state.coverage.files}[name] == missed

    def test_what_the_command_prints_is_no_report(self, runtime: Runtime, a_check: Check) -> None:
        state = _run(runtime, replace(a_check, command=f"echo '{FAKE}'; rm -rf ~/test-reports; exit 3"))

        assert (state.exit_code, "aiworker-reports" in state.log) == (3, True)
        assert state.report is not None
        assert (state.report.tests, state.report.is_usable) == ((), False)


def _run(runtime: Runtime, check: Check) -> CheckState:
    runtime.ensure_check(check)
    return finished(runtime, check)


class TestOneMachine(ReportsContract):
    """With what the same program does in a pod as here."""

    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Iterator[Runtime]:
        with supervised(tmp_path / "runtime") as running:
            yield running.runtime

    def test_the_variables_of_the_project_stay(self, runtime: Runtime, a_check: Check) -> None:
        only = Variables({"PYTEST_ADDOPTS": "-k title", "PYTHONPATH": "/nowhere"})
        state = _run(runtime, replace(a_check, variables=only))
        assert state.report is not None
        assert [test.name for test in state.report.tests] == [NAMED[0]]

        command = 'python3 -m unittest cases && test "${PYTHONPATH%:/nowhere}" != "$PYTHONPATH"'
        state = _run(runtime, replace(a_check, check_id="check-2", command=command, variables=only))
        assert state.report is not None
        assert [test.name for test in state.report.tests] == ["cases.Page::test_title"]
        assert state.phase is CheckPhase.PASSED

    @pytest.mark.parametrize(
        ("runner", "names"),
        [
            (f"{PYTEST}/test_", ["tests.test_other::test_other", *sorted(NAMED)]),
            (
                f"{UNITTEST} shop.test_",
                ["shop.test_cases.Shop::test_title", "shop.test_cases_more.More::test_title"],
            ),
        ],
    )
    def test_each_of_several_runs_of_a_command_is_known(
        self, runtime: Runtime, a_check: Check, runner: str, names: list[str]
    ) -> None:
        first, second = ("other.py", "page.py") if "pytest" in runner else ("cases", "cases_more")
        state = _run(runtime, replace(a_check, command=f"{runner}{first} && {runner}{second}"))

        assert state.report is not None
        assert sorted(test.name for test in state.report.tests) == names

    def test_pytest_runs_the_tests_of_some_files_alone(self, runtime: Runtime, a_check: Check) -> None:
        state = _run(runtime, replace(a_check, only_files=("test_other.py",)))

        assert state.report is not None
        assert [test.name for test in state.report.tests] == [OTHER]

    def test_a_call_that_leaves_all_of_its_tests_out_passes(self, runtime: Runtime, a_check: Check) -> None:
        calls = (f"{PYTEST}/test_other.py", f"{UNITTEST} cases", f"{PYTEST}/cases_that_run_pytest.py")
        left_out = (OTHER, "cases.Page::test_title")
        state = _run(runtime, replace(a_check, command=" && ".join(calls), left_out=left_out))

        assert state.report is not None
        assert [test.name for test in state.report.tests] == ["tests.cases_that_run_pytest::test_started"]
        assert state.phase is CheckPhase.PASSED, state.log

        # One that has none for another reason does not.
        command = f"{PYTEST} -k nothing_at_all"
        state = _run(runtime, replace(a_check, check_id="check-2", command=command, left_out=("no such test",)))
        assert state.exit_code == 5

    def test_coverage_is_known(self, runtime: Runtime, a_check: Check) -> None:
        lines = "SF:page.py\\nDA:1,1\\nDA:2,0\\nend_of_record\\n"
        state = _run(runtime, replace(a_check, command=f"printf '{lines}' >lcov.info"))

        assert state.coverage == Coverage((FileCoverage("page.py", "1", "2"),))


@contextmanager
def _on_cluster(tmp_path: Path, version: str) -> Iterator[Runtime]:
    with ClusterDouble(speed=20, node=ProcessNode()) as cluster, runtime_on(cluster, tmp_path) as running:
        cluster.access.version = version
        yield running


class TestCluster(ReportsContract):
    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Iterator[Runtime]:
        with _on_cluster(tmp_path, "v1.29.0") as running:
            yield running


class TestOldCluster:
    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Iterator[Runtime]:
        with _on_cluster(tmp_path, "v1.28.15+k3s1") as running:
            yield running

    def test_without_sidecars_the_exit_code_is_all(self, runtime: Runtime, a_check: Check) -> None:
        state = _run(runtime, a_check)

        assert (state.phase, state.exit_code, state.report) == (CheckPhase.FAILED, 1, None)
