"""`pytest --cpu-report`: which tests cost the most processor time.

Most tests wait most of the time, so how long a test takes says little on a busy machine; the processor time of its
process and of the children that ended during it says what a run needs. What a server shared by the whole run uses
(MariaDB) is in no test's figure.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator
from typing import Any

import pytest

_PROPERTY = "cpu_seconds"
_REPORTER = "aiworker-cpu-report"
_SHOWN = 40


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cpu-report", action="store_true", help="show which files and tests use the most processor time")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.cpu_report:
        config.pluginmanager.register(CpuReport(), _REPORTER)


def cpu_seconds() -> float:
    """What this process and its children that ended have used so far."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


class CpuReport:
    """Measures in the process that runs the tests, adds up in the one that reports."""

    def __init__(self) -> None:
        self._used = 0.0
        self._by_test: dict[str, float] = defaultdict(float)
        self._by_process: dict[str, float] = defaultdict(float)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, bool | None, bool | None]:
        self._used = cpu_seconds()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        now = cpu_seconds()
        report.user_properties.append((_PROPERTY, now - self._used))
        self._used = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up the figures of a test's set-up, call and teardown."""
        used = (float(str(value)) for name, value in report.user_properties if name == _PROPERTY)
        self._by_test[report.nodeid] += sum(used)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_PROPERTY] = cpu_seconds()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._by_process[node.gateway.id] = getattr(node, "workeroutput", {}).get(_PROPERTY, 0.0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        by_file: dict[str, float] = defaultdict(float)
        for test, used in self._by_test.items():
            by_file[test.split("::", 1)[0]] += used
        in_tests = sum(by_file.values())
        in_all = sum(self._by_process.values()) or cpu_seconds()
        write = terminalreporter.write_line
        terminalreporter.section("processor time")
        write(f"{in_all:8.1f} s in all, {in_tests:.1f} s of it in tests")
        for figures in (by_file, self._by_test):
            for name, used in sorted(figures.items(), key=lambda one: -one[1])[:_SHOWN]:
                write(f"{used:8.2f} s  {name}")
