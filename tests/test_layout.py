"""The rules of the layout that no import contract can hold: names, where imports stand, what is documented."""

from __future__ import annotations

import ast
import functools
import graphlib
import os
import re
import subprocess
import sys
from pathlib import Path

from common.jobs.catalogue import CATALOGUE

ROOT = Path(__file__).parents[1]
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


@functools.cache
def _texts() -> dict[str, str]:
    """Every source by its name."""
    paths = [path for path in _tracked("common/*.py", "web/*.py", "workers/*.py") if "versions" not in path.parts]
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}


@functools.cache
def _trees() -> dict[str, ast.Module]:
    return {name: ast.parse(text) for name, text in _texts().items()}


def _functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@functools.cache
def _all_functions() -> list[tuple[str, ast.FunctionDef]]:
    """Every function with the name of its file."""
    return [(name, function) for name, tree in _trees().items() for function in _functions(tree)]


def test_a_module_opens_with_why_it_exists() -> None:
    assert [name for name, tree in _trees().items() if not ast.get_docstring(tree)] == []


def test_no_name_says_nothing() -> None:
    words = {name: set(re.split(r"[/_.]", name.removesuffix(".py"))) for name in _texts()}
    assert {name: found & FORBIDDEN_NAMES for name, found in words.items() if found & FORBIDDEN_NAMES} == {}


def test_only_a_lifecycle_moves_a_state() -> None:
    movers = {name for name, text in _texts().items() if ".move_to(" in text and not name.startswith("common/models/")}
    assert {str(Path(name).parent) for name in movers} == {"common/services/lifecycle"}


def test_imports_stand_at_the_top() -> None:
    inside = {
        (name, function.name, node.lineno)
        for name, function in _all_functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert inside == set()


def test_the_machines_kit_needs_the_standard_library_and_psutil_alone() -> None:
    allowed = {*sys.stdlib_module_names, "psutil", "common.machine"}
    found = {
        (name, module)
        for name, tree in _trees().items()
        if name.startswith("common/machine/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or "."])
    }
    assert {
        one for one in found if one[1].split(".")[0] not in allowed and ".".join(one[1].split(".")[:2]) not in allowed
    } == set()
    # The first container of a pod has no psutil.
    assert {name for name, module in found if module == "psutil"} == {"common/machine/processes/process_trees.py"}


def test_a_job_is_told_one_thing() -> None:
    jobs = [
        function
        for path in (ROOT / "workers" / "jobs").glob("*.py")
        for function in _functions(ast.parse(path.read_text()))
        if any("job" in ast.unparse(decorator) for decorator in function.decorator_list)
    ]
    assert len(jobs) == len(CATALOGUE)
    for job in jobs:
        assert [argument.arg for argument in job.args.args] == ["job"], job.name


def _imports(name: str, tree: ast.Module) -> set[str]:
    """The modules of ours that a file imports."""
    modules = {path.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for path in _texts()}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inside & modules or {node.module}
    return (found & modules) - {name}


def test_no_module_imports_itself_through_others() -> None:
    graph = {
        (name := path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")): _imports(name, tree)
        for path, tree in _trees().items()
    }
    _assert_no_circle(graph)


def test_no_module_of_the_page_imports_itself_through_others() -> None:
    """Nor by what it imports on demand, which the browser and the bundler would let pass."""
    app = ROOT / "web" / "static" / "app"
    _assert_no_circle(
        {
            str(path): {
                os.path.normpath(path.parent / said)
                for said in re.findall(r'\b(?:from |import\(|import )"(\.[^"]+)"', path.read_text())
            }
            for path in app.rglob("*.mjs")
        }
    )


def _assert_no_circle(graph: dict[str, set[str]]) -> None:
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from error


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
