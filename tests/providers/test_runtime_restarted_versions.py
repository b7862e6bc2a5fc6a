"""Versions that were healthy before, as after a restart of the machine: what they need may be there later than they."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.providers.runtime import ProcessRuntime
from common.values.delivery.app import App, AppPhase, AppState, ProjectNamespace, Version
from common.values.variable_set import Variables
from tests.providers.runtime_contract import settled, until
from tests.providers.runtime_supervisor import RUN_WEB_APP, Repository, get, supervised

pytestmark = pytest.mark.slow

APP = App(ProjectNamespace("shop-0000beef", "project-1"), "production")
STARTS_AGAIN = "starting it again in"


@pytest.fixture
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProcessRuntime]:
    with supervised(tmp_path / "runtime", constants=getattr(request, "param", None)) as running:
        yield running.runtime


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def needed(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "needed"


def put_back(repository: Repository, needed: Path) -> Version:
    """A version whose start fails until the file is there."""
    start = f'test -e "$NEEDED" || {{ echo not yet; exit 1; }}; {RUN_WEB_APP}'
    version = repository.web_app("v1", variables=Variables({"NEEDED": str(needed)}), start_command=start)
    return replace(version, was_healthy=True)


def state_of(runtime: ProcessRuntime) -> AppState:
    state = runtime.read_app(APP, "v1")
    assert state is not None
    return state


def failed_starts(runtime: ProcessRuntime) -> int:
    return sum(STARTS_AGAIN in line.text for line in runtime.app_logs(APP, "v1"))


def test_it_is_started_until_it_is_healthy(runtime: ProcessRuntime, repository: Repository, needed: Path) -> None:
    url = runtime.ensure_app(APP, put_back(repository, needed)).url
    until(lambda: failed_starts(runtime) == 2)
    assert state_of(runtime).phase is AppPhase.STARTING
    needed.touch()

    assert settled(runtime, APP, "v1").phase is AppPhase.LIVE
    assert get(url) == (200, "v1")
