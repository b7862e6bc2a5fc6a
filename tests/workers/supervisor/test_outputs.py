"""Copying programs' output leaves the supervisor's loop to others, and loses nothing of what a program printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.values.app import Space
from common.values.check import CheckPhase
from tests.providers.runtime_contract import check_of, finished
from tests.providers.runtime_supervisor import Repository, supervised


@pytest.mark.slow
def test_the_log_of_a_check_is_whole_at_its_end_however_slowly_output_is_copied(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    version = repository.version("x", repository.commit(README="hello"))
    with supervised(tmp_path / "runtime", constants={"outputs.LOOP_SHARE": 1e-9}) as supervisor:
        check = check_of(version, Space("shop-0000beef", "project-1"), "c", "seq 10000; printf 'the end'")
        supervisor.runtime.ensure_check(check)
        state = finished(supervisor.runtime, check)

    assert state.phase is CheckPhase.PASSED
    assert state.log == "".join(f"{number}\n" for number in range(1, 10001)) + "the end"
