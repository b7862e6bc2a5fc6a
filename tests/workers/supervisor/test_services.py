"""The databases of checks and previews: each has its own, and none outlives what it was started for."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from common.values.delivery.app import App, AppPhase, ProjectNamespace
from common.values.needs import Needs, ServiceKind, ServiceNeed
from common.values.testing.check import Check, CheckPhase
from tests.processes import command_words, is_running_process
from tests.providers.runtime_contract import check_of, finished, settled, until
from tests.providers.runtime_supervisor import RUN_WEB_APP, Repository, Supervisor, supervised
from tests.workers.needs.clients import MARIADB, POSTGRESQL, REDIS, mariadb, needs_installed, redis, sql
from workers.needs.databases import CONFINED_TEMPLATES, TEMPLATES, root_of

pytestmark = pytest.mark.slow

SPACE = ProjectNamespace("shop-0000beef", "project-1")
APP = App(SPACE, "task-1")
HOST = "workers.needs.host"
"""The word by which the processes that start the databases are found."""


@pytest.fixture
def supervisor(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Supervisor]:
    """One that confines nothing, or what a test's parameter says (AIWORKER_SANDBOX)."""
    with supervised(tmp_path / "runtime", AIWORKER_SANDBOX=getattr(request, "param", "off")) as running:
        yield running


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def a_check(repository: Repository) -> Check:
    return check_of(repository.version("x", repository.commit(README="hello")), SPACE, "c", "true")


def left(supervisor: Supervisor) -> list[str]:
    """What lies in the directory of the supervisor's databases, but for the templates."""
    root, templates = root_of(supervisor.directory), {TEMPLATES, CONFINED_TEMPLATES}
    return sorted(path.name for path in root.iterdir() if path.name not in templates) if root.exists() else []


def workers_in(root: Path) -> list[int]:
    """The processes that work in this directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(root)) and is_running_process(process.pid):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("supervisor", ["auto"], indirect=True)
def test_a_check_has_every_kind_of_database(supervisor: Supervisor, a_check: Check) -> None:
    needs_installed(*ServiceKind)
    needs = Needs(setup_command=sql("create table t as select 7 as n"), services=(POSTGRESQL, MARIADB, REDIS))
    command = " && ".join([sql("select n from t"), mariadb("select 8"), redis("set('x', 9)"), redis("get('x')")])
    check = replace(a_check, command=command, needs=needs)
    supervisor.runtime.ensure_check(check)
    state = finished(supervisor.runtime, check)

    assert state.phase is CheckPhase.PASSED, state
    assert [line for line in state.log.splitlines() if "[runtime]" not in line] == ["7", "(8,)", "True", "b'9'"]
    assert left(supervisor) == []


def test_a_database_is_closed_to_those_without_its_password(supervisor: Supervisor, a_check: Check) -> None:
    needs_installed(*ServiceKind)
    attempts = [
        "psql -h $PGHOST -p $PGPORT -U app -w -c 'select 1' app",
        "psql -h $PGHOST -p $PGPORT -U postgres -w -c 'select 1' postgres",
        mariadb("select 1"),
        redis("ping()"),
    ]
    without = 'unset PGPASSWORD; export MYSQL_PASSWORD= MYSQL_USER=root REDIS_URL="redis://$REDIS_HOST:$REDIS_PORT"'
    command = f"{without}\n" + "\n".join(f"({attempt}) >/dev/null 2>&1 && echo open" for attempt in attempts)
    check = replace(a_check, command=f"{command}\ntrue", needs=Needs(services=(POSTGRESQL, MARIADB, REDIS)))
    supervisor.runtime.ensure_check(check)
    state = finished(supervisor.runtime, check)

    assert (state.phase, state.log) == (CheckPhase.PASSED, "")


def test_the_passwords_of_services_are_masked(supervisor: Supervisor, a_check: Check) -> None:
    check = replace(a_check, command="env; echo it is $REDIS_PASSWORD", needs=Needs(services=(REDIS,)))
    supervisor.runtime.ensure_check(check)
    log = finished(supervisor.runtime, check).log

    assert log.endswith("it is ***\n")
    assert "redis://:" not in log


@pytest.mark.parametrize(
    ("supervisor", "service", "victim"),
    [
        ("off", REDIS, HOST), ("auto", POSTGRESQL, "postgres"),
    ],
    ids=lambda it: it if isinstance(it, str) else str(it.kind),
    indirect=["supervisor"],
)  # fmt: skip
def test_a_previews_database_that_ended_is_started_again_with_its_data(
    supervisor: Supervisor, repository: Repository, service: ServiceNeed, victim: str
) -> None:
    needs_installed(service.kind)
    make, look = {
        POSTGRESQL: (sql("create table t as select 7 as n"), sql("select n from t")),
        REDIS: (redis("set('n', 7)"), redis("get('n')")),
    }[service]
    command = f"{look} >>seen && echo $REDIS_URL$DATABASE_URL >>urls && {RUN_WEB_APP}"
    version = repository.web_app("v1", needs=Needs(setup_command=make, services=(service,)), start_command=command)
    supervisor.runtime.ensure_app(APP, version)
    state = settled(supervisor.runtime, APP, "v1")
    assert state.phase is AppPhase.LIVE, state.reason
    [seen] = supervisor.directory.glob("apps/*/*/versions/v1/code/seen")
    [urls] = supervisor.directory.glob("apps/*/*/versions/v1/code/urls")
    for times in (2, 3):
        for process in psutil.Process(supervisor.process.pid).children(recursive=True):
            if victim in command_words(process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        until(lambda times=times: len(seen.read_text().splitlines()) == times, what="the app's next start")  # type: ignore[misc]

    assert settled(supervisor.runtime, APP, "v1").phase is AppPhase.LIVE
    assert len(set(seen.read_text().splitlines())) == 1
    assert len(set(urls.read_text().splitlines())) == 1
    supervisor.runtime.delete_app(APP)
    assert left(supervisor) == []
    assert workers_in(root_of(supervisor.directory)) == []


@pytest.mark.parametrize("supervisor", ["auto"], indirect=True)
def test_databases_of_a_killed_supervisor_are_gone_after_its_restart(supervisor: Supervisor, a_check: Check) -> None:
    needs_installed(POSTGRESQL.kind)
    busy = sql("select count(*) from generate_series(1, 1000000000000)")
    check = replace(a_check, command=f"touch began; {busy}", needs=Needs(services=(POSTGRESQL,)))
    supervisor.runtime.ensure_check(check)
    until(lambda: list(supervisor.directory.glob("checks/*/c/code/began")), what="the check's command")
    root = root_of(supervisor.directory)
    until(lambda: workers_in(root), what="the database")
    # The guard is killed in the same moment, so nobody cleans up before the restart.
    children = psutil.Process(supervisor.process.pid).children()
    psutil.Process(supervisor.process.pid).suspend()
    for child in children:
        if "workers.supervisor.units.orphan_guard" in command_words(child):
            os.kill(child.pid, signal.SIGKILL)
    supervisor.kill()
    supervisor.start_again()

    assert workers_in(root) == []
    assert not root.exists()


def test_a_service_that_is_not_installed_is_no_verdict_on_the_commit(supervisor: Supervisor, a_check: Check) -> None:
    check = replace(a_check, needs=Needs(services=(ServiceNeed(ServiceKind.REDIS, "99"),)))
    supervisor.runtime.ensure_check(check)
    state = finished(supervisor.runtime, check)

    assert (state.phase, state.code) == (CheckPhase.BROKEN, "service_missing")
    assert str(state.reason).startswith("Redis 99 is asked for, but ")
    assert left(supervisor) == []
