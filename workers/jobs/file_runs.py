"""Runs of the tests of some files alone, where the runner can do that: see `only_files` of Check."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from common.providers.runtime import Runtime
from common.values.app import Space
from common.values.check import Check, CheckPhase, CheckState
from workers.runtime_calls import forget_check, run_check

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


def forget_files(runtime: Runtime, space: Space, check_id: str) -> None:
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
    found = [_FILE_OF_PYTHON.fullmatch(path) for path in paths]
    modules = {match[1] for match in found if match is not None}
    of_tests = [modules & set(name.partition("::")[0].split(".")) for name in names]
    if not all(of_tests):
        return ()
    files = sorted(f"{module}.py" for module in set().union(*of_tests))
    return tuple(files) if len(files) <= MOST_NAMED_FILES else ()


def _narrow_id(check_id: str) -> str:
    return f"{check_id}-some"
