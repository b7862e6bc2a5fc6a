"""What a project needs, from its settings to the proof, the merged branch, the preview and what is staged."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.models import Deployment, TaskCheck
from common.values.needs import ServiceKind
from tests.workers.needs.clients import mariadb, needs_installed, redis, sql
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow

FILES = {"index.html": "<h1>first</h1>\n", "requirements.txt": "a==1\n"}


def test_tests_find_their_databases_and_what_the_setup_made(platform: Platform) -> None:
    needs_installed(*ServiceKind)
    project = platform.project(
        FILES,
        setup_command=sql("create table t as select 7 as n"),
        test_command=" && ".join([sql("select n from t"), mariadb("select 8"), redis("ping()")]),
        services=[{"kind": str(kind), "version": None} for kind in ServiceKind],
    )
    task = platform.ready(project, "Greet", {"index.html": "<h1>second</h1>\n"})

    [check] = platform.all(TaskCheck, TaskCheck.task_id == task.id, TaskCheck.name == "tests")
    assert check.status == "passed"
    assert [line for line in check.log.splitlines() if "[runtime]" not in line] == ["7", "(8,)", "True"]


def test_a_failing_setup_is_handed_back_with_its_code_and_output(platform: Platform) -> None:
    project = platform.project(FILES, setup_command="echo no package a==2; exit 1", test_command="true")
    task = platform.task(project)
    platform.work(task, {"requirements.txt": "a==2\n"})

    [check] = platform.all(TaskCheck, TaskCheck.task_id == task.id, TaskCheck.status == "failed")
    assert (check.name, check.code) == ("tests", "setup_failed")
    assert check.message == "The tests can't begin: the setup command failed: it exited with 1."
    [feedback] = platform.claim().feedback
    assert feedback.body.startswith("setup_failed: ")
    assert feedback.body.endswith("no package a==2\n")


def test_only_merged_commits_fill_the_cache_of_the_checks(platform: Platform, tmp_path: Path) -> None:
    log = tmp_path / "log"
    setup = f"if [ -e deps ]; then echo cached >>{log}; else mkdir deps; touch deps/a; echo made >>{log}; fi"
    project = platform.project(FILES, setup_command=setup, test_command="true", cache_paths=["deps"])
    task = platform.approved(project, "Greet", {"index.html": "<h1>second</h1>\n"})
    # The proof and the preview of a branch keep nothing.
    assert set(log.read_text().split()) == {"made"}
    platform.staged(task)

    assert log.read_text().split()[-1] == "cached"


def test_a_preview_has_databases_of_its_own(platform: Platform) -> None:
    project = platform.project(
        FILES,
        setup_command="env | grep REDIS_URL >index.html; true",
        services=[{"kind": "redis", "version": None}],
    )
    platform.ready(project, "Greet", {"requirements.txt": "a==3\n"})
    [made] = platform.all(Deployment, Deployment.project_id == project.id, Deployment.environment_ == "preview")

    code = platform.supervisor.directory / "apps" / project.namespace / made.app_name / "versions" / made.id
    assert (code / "code" / "index.html").read_text() != ""
