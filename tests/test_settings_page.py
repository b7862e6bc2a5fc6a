"""docs/settings.md names every setting that a process reads, and the documentation names no other one."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from common.settings.names import FILE, NAMES, PREFIX
from tests.settings_page import PATH as SETTINGS
from tests.settings_page import page

ROOT = Path(__file__).parents[1]
NAMES_PATH = ROOT / "common" / "settings" / "names.py"
OURS = re.compile(r"AIWORKER_[A-Z0-9_]*[A-Z0-9]")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MOST_SETTINGS = 90
FOR_TESTS = {"AIWORKER_TEST_IMAGE", "AIWORKER_TEST_SEEDS"}
"""Named by the documentation, and read by tests only."""


def _strings(node: ast.AST) -> Iterator[str]:
    return (one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str))


def _read_by(tree: ast.AST) -> Iterator[str]:
    """Our own names wherever they stand alone in a text, and every name that is asked of an `Environment`."""
    yield from filter(OURS.fullmatch, _strings(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("env."):
            for argument in node.args:
                yield from filter(re.compile("[A-Z_]+").fullmatch, _strings(argument))


@functools.cache
def _read() -> set[str]:
    """The names of all settings that a program of ours reads."""
    found: set[str] = set()
    for folder in ("common", "web", "workers"):
        for path in set((ROOT / folder).rglob("*.py")) - {NAMES_PATH}:
            found |= set(_read_by(ast.parse(path.read_text("utf-8"))))
    gunicorn = (ROOT / "web" / "gunicorn.conf.py").read_text("utf-8")
    found |= set(re.findall(r'os\.environ\.get\("(\w+)"\)', gunicorn))
    # The shell replaces these before the program starts.
    return found | set(re.findall(r"\$\{(\w+)", (ROOT / "Procfile").read_text("utf-8")))


@functools.cache
def _documented(*pages: Path) -> set[str]:
    """The names in the first cell of a table's row."""
    rows = (line for page in pages for line in page.read_text("utf-8").splitlines() if line.startswith("|"))
    return {name for row in rows for name in re.findall(r"`([A-Z][A-Z_]+)`", row.split("|")[1])}


def test_the_page_is_what_the_settings_say() -> None:
    assert SETTINGS.read_text("utf-8") == page(), "run python -m tests.settings_page"


def test_there_are_few_enough_settings_to_read() -> None:
    assert len(NAMES) <= MOST_SETTINGS


def test_the_reader_of_this_test_finds_settings() -> None:
    assert {"AIWORKER_PORT", "PORT", "GITEA_URL", "AIWORKER_AGENTS_MAX", "WEB_CONCURRENCY"} <= _read()


def test_the_doctor_knows_every_setting_and_no_other_one() -> None:
    """It warns of all others: the names in common/settings/names.py."""
    assert sorted(NAMES ^ {name for name in _read() if name.startswith(PREFIX)}) == []


def test_the_doctor_knows_every_setting_that_a_deployment_sets() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    set_there = {
        name.removesuffix(FILE)
        for text in [*texts, (ROOT / "Dockerfile").read_text("utf-8")]
        for name in OURS.findall(text)
    }

    assert "AIWORKER_AGENTS_MAX" in set_there
    assert sorted(set_there - NAMES) == []


def test_the_page_of_settings_names_every_setting() -> None:
    assert sorted(_read() - _documented(SETTINGS)) == []


def test_every_setting_is_described_once() -> None:
    """In the page of settings, or in the page that its last table leads to."""
    described, _, elsewhere = SETTINGS.read_text("utf-8").partition("## Described elsewhere")
    led = {
        (name, page)
        for row in elsewhere.splitlines()
        for page in re.findall(r"\]\((\w+\.md)", row)
        for name in re.findall(r"`([A-Z][A-Z_]+)`", row.split("|")[1])
    }
    here = set(
        re.findall(r"`([A-Z][A-Z_]+)`", "".join(line.split("|")[1] for line in described.splitlines() if "|" in line))
    )

    assert len(led) > 30
    assert {name for name, _page in led} & here == set()
    assert [(name, page) for name, page in led if name not in _documented(ROOT / "docs" / page)] == []


def test_the_documentation_names_no_setting_that_nothing_reads() -> None:
    named = {name for page in PAGES for name in OURS.findall(page.read_text("utf-8"))}
    plain = {name.removesuffix("_FILE") for name in named}

    assert sorted(plain - _read() - FOR_TESTS - {"AIWORKER_AGENT"}) == []
    assert sorted(_documented(*PAGES) - _read() - {"FLOWER_BASIC_AUTH"}) == []
