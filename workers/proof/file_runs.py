"""Runs of the tests of some files alone, where the runner can do that: see `only_files` of Check."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from common.providers.runtime import Runtime
from common.values.delivery.app import ProjectNamespace
from common.values.testing.check import Check, CheckPhase, CheckState
from workers.execution.provider_calls import forget_check, run_check

MOST_NAMED_FILES = 50
_FILE_OF_PYTHON = re.compile(r"(?:.*/)?(\w+)\.py", re.ASCII)


def run_files(runtime: Runtime, check: Check, only_files: tuple[str, ...]) -> CheckState:
    """Run the tests of these files alone; all of them if that gives no report that says something, or none is named.

    Safe to repeat until `forget_files`. Raises ProviderUnavailable if the command can't be started yet.
    """
    if only_files:
        state = run_check(runtime, replace(check, check_id=_narrow_id(check.check_id), only_files=only_files))
        if state.phase is CheckPhase.RUNNING or (state.report is not None and state.report.tests):
            return state
    return run_check(runtime, check)


def forget_files(runtime: Runtime, space: ProjectNamespace, check_id: str) -> None:
    """Have the runtime forget both runs for the check of this id. Safe to repeat."""
    for one in (check_id, _narrow_id(check_id)):
        forget_check(runtime, space, one)


def files_of(names: Collection[str], paths: Collection[str]) -> tuple[str, ...]:
    """Return the names of those files, among the paths, that pytest or unittest reports these tests from; empty if one
    of the tests may be from another file.

    >>> files_of(["tests.test_page.Page::test_title"], ["tests/test_page.py", "tests/page.json"])
    ('test_page.py',)
    >>> files_of(["tests.test_page::test_title", "tests.test_shop::test_price"], ["tests/test_page.py"])
    ()
    """
    modules = {match[1] for path in paths if (match := _FILE_OF_PYTHON.fullmatch(path))}
    of_tests = [modules & _words(name) for name in names]
    if not all(of_tests):
        return ()
    files = sorted(f"{module}.py" for module in set().union(*of_tests))
    return tuple(files) if len(files) <= MOST_NAMED_FILES else ()


def tests_of(names: Collection[str], paths: Collection[str]) -> frozenset[str] | None:
    """Return those of the tests that pytest or unittest reports from these files; None if one of the files has none of
    them, as tests of any other may use it.

    >>> tests_of(["tests.test_page::test_title", "tests.test_shop::test_price"], ["tests/test_page.py"])
    frozenset({'tests.test_page::test_title'})
    >>> tests_of(["tests.test_page::test_title"], ["tests/test_page.py", "tests/page.json"])
    """
    found = [_FILE_OF_PYTHON.fullmatch(path) for path in paths]
    modules = {match[1] for match in found if match is not None}
    of_tests = {name: modules & _words(name) for name in names}
    if None in found or modules != set().union(*of_tests.values()):
        return None
    return frozenset(name for name, its in of_tests.items() if its)


def _words(name: str) -> set[str]:
    return set(name.partition("::")[0].split("."))


def _narrow_id(check_id: str) -> str:
    return f"{check_id}-some"
