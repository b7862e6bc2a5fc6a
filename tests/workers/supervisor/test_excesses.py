"""A command whose files outgrow what it may have on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.values.app import Space
from common.values.check import CheckEnd, CheckPhase
from tests.providers.runtime_contract import check_of, finished
from tests.providers.runtime_supervisor import Repository, Supervisor, supervised

SPACE = Space("shop-0000beef", "project-1")
FILL = "dd if=/dev/zero of={} bs=1M count=80 2>/dev/null; sleep 600"


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    with supervised(tmp_path_factory.mktemp("disk") / "runtime", disk_bytes=40 * 2**20) as running:
        yield running


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_a_check_that_fills_the_disk_fails(supervisor: Supervisor, repository: Repository) -> None:
    version = repository.version("x", repository.commit(a="1"))
    check = check_of(version, SPACE, "c", FILL.format("$HOME/large"))
    supervisor.runtime.ensure_check(check)
    state = finished(supervisor.runtime, check)

    assert (state.phase, state.code, state.exit_code) == (CheckPhase.FAILED, CheckEnd.DISK, None)
    assert str(state.reason).endswith("of disk, its limit is 40 MiB")
    assert not list(supervisor.directory.glob("checks/*/*/code"))
