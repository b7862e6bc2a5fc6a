"""Checks: a command on a clean checkout, killed whole when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.providers.runtime import ProcessRuntime
from common.values.delivery.app import ProjectNamespace, Version
from common.values.testing.check import CheckPhase
from common.values.variable_set import Variables
from tests.deep_folders import remove_deep
from tests.processes import is_running_process
from tests.providers.runtime_contract import check_of, finished, until
from tests.providers.runtime_supervisor import Repository, supervised

pytestmark = pytest.mark.slow

SPACE = ProjectNamespace("shop-0000beef", "project-1")


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ProcessRuntime]:
    with supervised(tmp_path / "runtime", AIWORKER_SECRET_KEY="0123456789abcdef" * 2) as running:
        yield running.runtime
    remove_deep(tmp_path / "runtime")


@pytest.fixture
def version(tmp_path: Path) -> Version:
    repository = Repository(tmp_path / "repository")
    return repository.version("x", repository.commit(README="hello"))


def test_every_check_has_a_clean_checkout(runtime: ProcessRuntime, version: Version) -> None:
    command = "git status --porcelain && ls && touch litter"
    for check_id in ("first", "second"):
        check = check_of(version, SPACE, check_id, command)
        runtime.ensure_check(check)
        state = finished(runtime, check)

        assert state.phase is CheckPhase.PASSED
        assert state.log == "README\n"


def test_a_check_that_takes_too_long_is_killed_with_all_it_started(runtime: ProcessRuntime, version: Version) -> None:
    command = "sleep 600 & echo $!; setsid sleep 600 & echo $!; wait"
    check = replace(check_of(version, SPACE, "c", command), timeout_seconds=3)
    runtime.ensure_check(check)
    state = finished(runtime, check)

    assert (state.phase, state.exit_code) == (CheckPhase.FAILED, None)
    assert state.reason == "it took longer than 3 s"
    pids = [int(line) for line in state.log.split()]
    assert len(pids) == 2
    assert not any(is_running_process(pid) for pid in pids)


def test_a_check_over_its_memory_fails(runtime: ProcessRuntime, version: Version) -> None:
    check = replace(check_of(version, SPACE, "c", "sleep 600"), memory_limit="100k", timeout_seconds=60)
    runtime.ensure_check(check)

    assert "its limit is" in str(finished(runtime, check).reason)


def test_a_checks_environment_holds_its_variables_and_none_of_the_supervisors(
    runtime: ProcessRuntime, version: Version
) -> None:
    check = replace(check_of(version, SPACE, "c", "env"), variables=Variables({"COLOUR": "blue"}))
    runtime.ensure_check(check)
    state = finished(runtime, check)

    assert "COLOUR=blue" in state.log.splitlines()
    assert "AIWORKER" not in state.log


def test_the_third_check_waits_for_its_turn(runtime: ProcessRuntime, version: Version, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    first, second = (
        check_of(version, SPACE, name, f"echo began; until [ -e {gate} ]; do sleep 0.05; done") for name in "ab"
    )
    third = check_of(version, SPACE, "c", "echo began")
    for check in (first, second, third):
        assert runtime.ensure_check(check).phase is CheckPhase.RUNNING
    until(lambda: all(_log(runtime, name) == "began\n" for name in "ab"))

    assert _log(runtime, "c") == ""
    gate.touch()
    assert finished(runtime, third).log == "began\n"
    assert finished(runtime, first).phase is finished(runtime, second).phase is CheckPhase.PASSED


def _log(runtime: ProcessRuntime, check_id: str) -> str:
    state = runtime.read_check(SPACE, check_id)
    assert state is not None
    return state.log
