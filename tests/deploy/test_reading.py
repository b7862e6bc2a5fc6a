"""The reader of the documentation notices every command that fails, wherever it stands in a script."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.deploy.reading import Reader
from tests.web.documentation.snippets import Block

pytestmark = pytest.mark.slow


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader("docs/receipts.md", tmp_path, {"PATH": os.environ["PATH"]})


@pytest.mark.parametrize(
    ("script", "failed"),
    [
        ("true\necho well\n", []),
        ("false\necho on\n", ["1 false"]),
        ("echo a | grep b | cat\n", ["1 cat"]),
    ],
)
def test_what_fails_is_noticed(reader: Reader, script: str, failed: list[str]) -> None:
    said = reader.run(Block("a page:1", "bash", frozenset(), script))

    assert said.failed == failed


def test_a_script_that_was_left_out_is_noticed(reader: Reader) -> None:
    with pytest.raises(AssertionError, match=r"docs/receipts\.md"):
        reader.finish()
    with pytest.raises(AssertionError, match="was to be"):
        reader.read("no word of the first script")
