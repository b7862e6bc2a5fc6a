"""Checks and apps of a supervisor: their setup command, its cache, their output and their disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.providers.runtime import ProcessRuntime
from common.values.delivery.app import App, AppPhase, ProjectNamespace
from common.values.needs import Needs
from common.values.testing.check import CheckEnd, CheckPhase
from common.values.variable_set import Variables
from tests.providers.runtime_contract import check_of, finished, settled
from tests.providers.runtime_supervisor import Repository, get, supervised

pytestmark = pytest.mark.slow

SPACE = ProjectNamespace("shop-0000beef", "project-1")
APP = App(SPACE, "task-1")


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ProcessRuntime]:
    with supervised(tmp_path / "runtime") as running:
        yield running.runtime


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_a_failing_setup_fails_the_version_and_the_older_one_serves_on(
    runtime: ProcessRuntime, repository: Repository
) -> None:
    url = runtime.ensure_app(APP, repository.web_app("v1")).url
    settled(runtime, APP, "v1")
    needs = Needs(setup_command="echo 'requirements.txt: no such file'; exit 1")
    runtime.ensure_app(APP, repository.web_app("v2", needs=needs))
    state = settled(runtime, APP, "v2")

    assert (state.phase, state.code, state.live_version_id) == (AppPhase.FAILED, "setup_failed", "v1")
    assert state.reason == "the setup command failed: it exited with 1: requirements.txt: no such file"
    assert get(url) == (200, "v1")


def test_only_approved_commits_fill_the_cache_and_every_later_check_reads_it(
    runtime: ProcessRuntime, repository: Repository
) -> None:
    version = repository.version("x", repository.commit(README="hello", requirements__txt="a==1"))
    setup = "[ -e deps ] && echo 'found a cache' || { mkdir deps; echo $WHO >deps/who; }"
    needs = Needs(setup_command=setup, cache_paths=("deps",))

    def log_of(check_id: str, *, may_save: bool, command: str = "cat deps/who") -> str:
        check = replace(
            check_of(version, SPACE, check_id, command),
            needs=replace(needs, may_save_cache=may_save),
            variables=Variables({"WHO": check_id}),
        )
        runtime.ensure_check(check)
        state = finished(runtime, check)
        assert state.phase is CheckPhase.PASSED, state
        return state.log

    # A branch that nobody approved prepares a poisoned folder: no later check gets it.
    log_of("poisoned", may_save=False)
    assert "found a cache" not in log_of("approved", may_save=True)
    # What a check changes afterwards, its own tests included, is not in the cache.
    log = log_of("branch", may_save=False, command="cat deps/who; echo poisoned >deps/who")
    assert "found a cache" in log
    assert log.endswith("approved\n")
    assert log_of("later", may_save=True).endswith("approved\n")
    runtime.delete_environment(SPACE)
    assert "found a cache" not in log_of("anew", may_save=False)


def test_a_check_that_fills_the_disk_fails(tmp_path: Path, repository: Repository) -> None:
    version = repository.version("x", repository.commit(a="1"))
    check = check_of(version, SPACE, "c", "dd if=/dev/zero of=$HOME/large bs=1M count=80 2>/dev/null; sleep 600")
    with supervised(tmp_path / "runtime", disk_bytes=40 * 2**20) as supervisor:
        supervisor.runtime.ensure_check(check)
        state = finished(supervisor.runtime, check)

        assert (state.phase, state.code, state.exit_code) == (CheckPhase.FAILED, CheckEnd.DISK, None)
        assert str(state.reason).endswith("of disk, its limit is 40 MiB")
        assert not list(supervisor.directory.glob("checks/*/*/code"))
