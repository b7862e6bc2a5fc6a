"""What an agent says of its drivers: when it enrols, when it changes, and when none can work."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import ProviderUnavailable
from tests.workers.runner.fake_program import FakeDriver, write_program
from tests.workers.runner.runner_platform import Platform, Start, eventually
from workers.runner.drivers.offer import DriverOffer
from workers.runner.platform_client.driver_findings import DriverFinding


class BrokenDriver(FakeDriver):
    def check(self) -> DriverFinding:
        raise RuntimeError("a bug")


def offer(folder: Path, *wanted: str) -> DriverOffer:
    there = FakeDriver(write_program(folder / "there", ""), name="there")
    gone = FakeDriver(folder / "gone", name="gone")
    buggy = BrokenDriver(folder / "gone", name="buggy")
    return DriverOffer(wanted, programs={"gone": gone, "there": there, "buggy": buggy})


def test_by_default_all_that_can_work_are_offered_the_scripted_one_last(tmp_path: Path) -> None:
    found = offer(tmp_path)
    assert found.report.usable == ("scripted",)
    found.check()
    assert found.report.usable == ("there", "scripted")
    assert found.first == "there"
    assert found.error is None
    says = {finding.name: (finding.can_work, finding.says) for finding in found.report.findings}
    assert says["gone"] == (False, "The fake is not installed.")
    assert says["buggy"] == (False, "Its check failed: RuntimeError: a bug")


def test_an_agent_none_of_whose_drivers_can_work_says_why(tmp_path: Path) -> None:
    found = offer(tmp_path, "gone")
    found.check()
    assert found.error == "No driver can work. gone: The fake is not installed."
    assert found.first == "gone"
    with pytest.raises(ProviderUnavailable, match="The fake is not installed"):
        found.ready("gone")
    write_program(tmp_path / "gone", "")
    found.check()
    assert found.error is None
    ready = found.ready("gone")
    assert ready is not None
    assert ready.finding.executable == str(tmp_path / "gone")


@pytest.mark.slow
def test_an_agent_without_a_driver_that_works_claims_nothing_and_says_why(
    platform: Platform, start: Start, tmp_path: Path
) -> None:
    start("--driver", "claude", PATH=str(tmp_path), HOME=str(tmp_path), AIWORKER_DATA_DIR=str(tmp_path))
    eventually(lambda: len(platform.heartbeats) > 2, "the agent is there")
    assert platform.heartbeat_bodies[-1]["error"].startswith("No driver can work. claude: ")
    assert not any("claim" in call for call in platform.seen)
