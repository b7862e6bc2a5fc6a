"""The walls of the layout that no import contract can hold: sizes, names, where imports stand, what is documented."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from common.jobs import CATALOGUE

ROOT = Path(__file__).parents[1]
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
LONGEST_JOB = 15
FORBIDDEN_NAMES = {
    "util",
    "utils",
    "helper",
    "helpers",
    "manager",
    "handler",
    "processor",
    "data",
    "info",
    "misc",
    "mixin",
}
TOP_LEVEL = {"common", "web", "workers", "tests", "docs", "deploy"}


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


SOURCES = [path for path in _tracked("common/*.py", "web/*.py", "workers/*.py") if "versions" not in path.parts]
NAMES = [str(path.relative_to(ROOT)) for path in SOURCES]


@pytest.fixture(scope="module", params=SOURCES, ids=NAMES)
def source(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def _functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def test_a_file_is_no_longer_than_the_wall(source: Path) -> None:
    assert len(source.read_text().splitlines()) <= LONGEST_FILE


def test_a_module_opens_with_why_it_exists(source: Path) -> None:
    assert ast.get_docstring(ast.parse(source.read_text()))


def test_no_name_says_nothing(source: Path) -> None:
    words = {word for part in source.relative_to(ROOT).with_suffix("").parts for word in re.split(r"[_.]", part)}
    assert not words & FORBIDDEN_NAMES


def test_imports_stand_at_the_top(source: Path) -> None:
    inside = [
        (function.name, node.lineno)
        for function in _functions(ast.parse(source.read_text()))
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not inside


def test_a_function_fits_on_a_screen(source: Path) -> None:
    long = [
        (function.name, (function.end_lineno or 0) - function.lineno)
        for function in _functions(ast.parse(source.read_text()))
        if (function.end_lineno or 0) - function.lineno > LONGEST_FUNCTION
    ]
    assert not long


def test_a_job_is_short_and_is_told_one_thing() -> None:
    jobs = [
        function
        for path in (ROOT / "workers").glob("*.py")
        for function in _functions(ast.parse(path.read_text()))
        if any("job" in ast.unparse(decorator) for decorator in function.decorator_list)
    ]
    assert len(jobs) == len(CATALOGUE)
    for job in jobs:
        assert [argument.arg for argument in job.args.args] == ["job"], job.name
        statements = sum(isinstance(node, ast.stmt) for node in ast.walk(job)) - 1
        assert statements <= LONGEST_JOB, (job.name, statements)


def test_only_known_folders_lie_at_the_top() -> None:
    folders = {path.relative_to(ROOT).parts[0] for path in _tracked() if len(path.relative_to(ROOT).parts) > 1}
    assert {name for name in folders if not name.startswith(".")} <= TOP_LEVEL


def test_nothing_names_a_machine_or_an_index() -> None:
    """Locks and sources name packages, never where they came from; and no path of whoever wrote them."""
    named = re.compile(r"(pypi|pythonhosted|registry\.npmjs)\.(org|io)/(simple|packages)|--(extra-)?index-url|/work/")
    hits = [
        str(path.relative_to(ROOT))
        for path in _tracked()
        if path != Path(__file__) and "vendor" not in path.parts and named.search(path.read_text(errors="ignore"))
    ]
    assert not hits
