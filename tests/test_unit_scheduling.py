"""Which tests stay together when a run is spread over processes."""

from __future__ import annotations

import pytest

from tests.servers import ROOT
from tests.unit_scheduling import LONGEST_FIRST, SHARING_AN_INSTANCE, SPLIT_BY_TEST, rank, unit_of_test


@pytest.mark.parametrize(
    ("test_id", "unit"),
    [
        ("tests/web/cli/test_main.py::test_a[sqlite]", "tests/web/cli/test_main.py"),
        ("tests/e2e/test_load.py::test_a[sqlite]", "tests/e2e/test_load.py::test_a[sqlite]"),
        ("tests/e2e/test_browser.py::test_a", "tests/e2e/test_browser.py"),
        ("tests/e2e/test_browser_models.py::test_a", "tests/e2e/test_browser_"),
        ("tests/e2e/contract/test_client.py::test_a[x::y]", "tests/e2e/contract/"),
    ],
)
def test_what_shares_something_long_stays_together(test_id: str, unit: str) -> None:
    assert unit_of_test(test_id) == unit


def test_the_longest_go_first_and_the_unnamed_last() -> None:
    ids = ["tests/common/test_x.py::test_x", "tests/web/test_x.py::test_x", f"{LONGEST_FIRST[0]}::test_x"]

    assert sorted(ids, key=rank) == ids[::-1]


def test_every_file_that_is_named_is_there() -> None:
    named = {
        name.partition("[")[0].partition("::")[0] for name in (*LONGEST_FIRST, *SPLIT_BY_TEST, *SHARING_AN_INSTANCE)
    }

    assert [name for name in named if not list(ROOT.glob(f"{name}*"))] == []
