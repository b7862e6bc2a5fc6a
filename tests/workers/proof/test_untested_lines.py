"""The lines of a change that no test touches are told to the reviewer, and never refuse the work."""

from __future__ import annotations

import pytest

from common.machine.waiting import Deadline
from common.models import TaskCheck
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.platform import Platform
from workers.proof.untested_lines import added_lines

PAGE = "def title():\n    return 'Shop'\n\n\ndef price():\n    return 1\n"
MORE = PAGE + "\n\ndef tax(rate):\n    if rate:\n        # Half of it.\n        return rate / 2\n    return 0\n"
FILES = {"page.py": PAGE, "report": "", "old.py": PAGE}
COMMAND = "[ ! -s report ] || cp report lcov.info"
"""Stands for tests with a coverage tool, whose report is the file `report`."""


def lcov(path: str, executed: list[int], missed: list[int]) -> str:
    lines = [f"DA:{line},1" for line in executed] + [f"DA:{line},0" for line in missed]
    return "\n".join([f"SF:{path}", *lines, "end_of_record", ""])


def outcome_of(check: TaskCheck | None) -> tuple[object, ...]:
    assert check is not None
    return check.status, check.code, check.message, check.log, check.facts


@pytest.mark.slow
def test_the_reviewer_sees_which_added_lines_no_test_touches(platform: Platform) -> None:
    project = platform.project(FILES, test_command=COMMAND)
    report = lcov("page.py", executed=[1, 2, 5, 9, 10], missed=[6, 12, 13])
    task = platform.ready(project, "Tax", {"page.py": MORE, "report": report})

    assert outcome_of(checks_of(platform, task).get("coverage")) == (
        "passed", "lines_untested", "No test touches 2 of the 4 added lines that can run: page.py:12-13.",
        "page.py:12-13", {"added": 4, "uncovered": 2},
    )  # fmt: skip


@pytest.mark.slow
def test_only_added_lines_count(platform: Platform) -> None:
    project = platform.project(FILES, test_command=COMMAND)
    task = platform.ready(project, "Work", {"page.py": MORE, "report": lcov("old.py", [1], [2])})

    found = checks_of(platform, task)["coverage"]
    assert (found.status, found.code, found.message) == (
        "passed", None, "The coverage report knows none of the added lines.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "added"),
    [
        ("", "a b", [1, 2]), ("a b", "", []), ("a b c", "a b c", []), ("a c", "a b c", [2]), ("a b c", "a x c", [2]),
        ("a a", "a a a", [3]), ("x a b c y", "x b c a y", [4]), ("a b c d", "c d", []),
    ],
)  # fmt: skip
def test_added_lines_are_found_by_their_place(before: str, after: str, added: list[int]) -> None:
    assert added_lines(before.encode().split(), after.encode().split(), Deadline(60)) == added
