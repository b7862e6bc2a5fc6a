"""What defines how the tests run stays the base's: a change of it silences no test, unless the task may make it."""

from __future__ import annotations

import json
import tomllib

import pytest

from common.models import Task
from common.providers.forge import local_forge
from common.values.repository import Repository
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.platform import Platform
from workers.proof.sources import setup_parts
from workers.proof.sources.test_setup import SetupFiles

FILES = {"page.txt": "Shop\n", "Makefile": "check:\n\tgrep -q Shop page.txt\n"}
BROKEN = {"page.txt": "Market\n"}
Files = dict[str, str | None]

CHECKED = {"page.txt": "Shop\n", "ci/check.sh": "grep -q Shop page.txt\n"}
PACKAGE = '{"name": "shop", "version": "1.0.0", "scripts": {"test": "%s"}}\n'
SILENCED: dict[str, tuple[str, dict[str, str], Files]] = {
    "the target says true": ("make check", FILES, {"Makefile": "check:\n\ttrue\n"}),
    "another file comes before it": ("make check", FILES, {"GNUmakefile": "check:\n\ttrue\n"}),
    "a script that the command names": (
        "sh ./ci/check.sh", {"page.txt": "Shop\n", "ci/check.sh": "grep -q Shop page.txt\n"}, {"ci/check.sh": "true\n"},
    ),
    "a file that the Makefile includes": (
        "make check", {"page.txt": "Shop\n", "Makefile": "include mk/check.mk\n", "mk/check.mk": FILES["Makefile"]},
        {"mk/check.mk": "check:\n\ttrue\n"},
    ),
    "a script that a package's script runs": (
        "npm test", {**CHECKED, "package.json": PACKAGE % "sh ci/check.sh"}, {"ci/check.sh": "true\n"},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("lie", SILENCED)
def test_a_silenced_command_is_run_as_the_base_defines_it(platform: Platform, lie: str) -> None:
    command, files, change = SILENCED[lie]
    task = platform.task(platform.project(files, test_command=command))
    platform.work(task, {**BROKEN, **change})

    checks = checks_of(platform, task)
    assert (checks["tests"].status, checks["tests"].code) == ("failed", "tests_failed")
    assert "They were run without its changes to how tests run." in (checks["tests"].message or "")
    assert (checks["test_setup"].status, checks["test_setup"].code) == ("passed", "test_setup_kept")
    assert platform.get(Task, task.id).round == 2


@pytest.mark.slow
def test_a_change_that_was_asked_for_counts(platform: Platform) -> None:
    project = platform.project(FILES, test_command="make check")
    change: Files = {"page.txt": "Mall\n", "Makefile": "check:\n\tgrep -q Mall page.txt\n"}
    task = platform.task(project, may_change_test_setup=True)
    platform.work(task, change)

    assert platform.get(Task, task.id).state == "ready_to_test"
    setup = checks_of(platform, task)["test_setup"]
    assert (setup.code, setup.message) == (None, "It changes how the tests run, as it may: Makefile.")


def test_a_project_without_patterns_takes_all_from_the_branch(platform: Platform) -> None:
    project = platform.project(FILES, test_command="make check", test_setup=[])
    task = platform.ready(project, "Work", {**BROKEN, "Makefile": "check:\n\ttrue\n"})
    assert "test_setup" not in checks_of(platform, task)


@pytest.mark.parametrize(
    ("command", "scripts"),
    [
        ("sh ./ci/check.sh fast", {"ci/check.sh"}), 
        ("cd web && ./check", {"check"}), ("make check; exec tools/lint -q page.html", {"tools/lint"}),
        ("test -f page.html && grep -q Shop src/page.html", set()), ("python3 -m pytest tests/test_page.py", set()),
        ("node src/server.js --test", set()),
    ],
)  # fmt: skip
def test_the_scripts_that_a_command_runs(command: str, scripts: set[str]) -> None:
    files = SetupFiles(local_forge(), Repository("team", "shop", "project-1"), (), command)
    named = ("ci/check.sh", "check", "tools/lint", "page.html", "src/page.html", "tests/test_page.py", "src/server.js")
    assert {path for path in (*named, "ci/test_all.sh") if files.defines(path)} == scripts


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        (
            "web/package.json", '{"scripts": {"test": "jest"}, "dependencies": {}}',
            '{"scripts": {"test": "true"}, "jest": {"bail": 1}, "dependencies": {"a": "1"}}',
            {"scripts": {"test": "jest"}, "dependencies": {"a": "1"}},
        ),
        ("package.json", '{"name": "shop"}', '{"name": "shop", "scripts": {"test": "true"}}', {"name": "shop"}),
        ("deno.json", None, '{"tasks": {"test": "true"}, "imports": {}}', {"imports": {}}),
    ],
)  # fmt: skip
def test_the_parts_of_a_json_file(path: str, old: str | None, new: str, expected: object) -> None:
    before = None if old is None else old.encode()

    text = setup_parts.with_parts_of(path, before, new.encode())

    assert text is not None
    assert json.loads(text) == expected
    assert not setup_parts.same_parts(path, before, new.encode())
    assert setup_parts.same_parts(path, before, text.encode())


@pytest.mark.parametrize(
    "new",
    [
        "[tool]\npytest.ini_options.addopts = '-q'\nruff.x = 1\n", "tool = 'x'\n",
        "tool = {pytest = {ini_options = {addopts = '-q'}}, ruff = {x = 1}}\n", 
        "[tool.ruff]\nx = 1\n[project]\nname = 'shop'\n[tool.pytest.ini_options]\naddopts = '-q'\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "old", ["[tool.pytest.ini_options]\naddopts = '-W error'\n", "[tool.pdm.scripts]\ntest = 'pytest'\n"]
)
def test_the_tables_of_pyproject_are_the_bases_in_any_form_or_the_whole_file_is(old: str, new: str) -> None:
    text = setup_parts.with_parts_of("pyproject.toml", old.encode(), new.encode())

    if text is not None:
        found, base, branch = (tomllib.loads(each) for each in (text, old, new))
        assert setup_parts.same_parts("pyproject.toml", old.encode(), text.encode())
        assert found.get("project") == branch.get("project")
        assert found["tool"].get("pytest") == base["tool"].get("pytest")


@pytest.mark.parametrize("bad", [b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_what_cannot_be_read_is_no_part(bad: bytes) -> None:
    assert setup_parts.with_parts_of("package.json", b"{}", bad) is None
    assert not setup_parts.same_parts("package.json", b"{}", bad)
    for name in ("pyproject.toml", "setup.cfg"):
        assert setup_parts.with_parts_of(name, b"", b"\xff") is None
