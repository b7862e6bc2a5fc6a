"""What the real coding CLIs that try again for minutes are taken for in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.model_server import ModelServer
from tests.doubles.model_wire import Fault
from tests.ports import free_port
from tests.workers.runner.drivers.cli_runs import INSTALLED, Ran, try_program
from workers.runner.drivers.program import Ending

pytestmark = pytest.mark.timeout(900)
LONGEST_SECONDS = 800


@pytest.fixture(autouse=True)
def _installed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_AGENT_DRIVERS_DIR", str(INSTALLED))


def _is_a_refusal(ran: Ran) -> None:
    assert ran.classified is not None
    assert ran.classified.ending is Ending.REFUSED, (ran.classified, ran.code, ran.stderr, ran.lines)


def test_a_wrong_key_is_a_refusal_of_opencode(tmp_path: Path) -> None:
    with ModelServer(every=Fault(status=401, message="invalid x-api-key")) as model:
        ran = try_program("opencode", tmp_path, model.url, longest_seconds=LONGEST_SECONDS)

    _is_a_refusal(ran)
    assert ran.classified is not None
    assert "key" in ran.classified.reason


@pytest.mark.parametrize("name", ["gemini", "opencode", "qwen"])
def test_a_fault_of_the_provider_is_a_refusal(name: str, tmp_path: Path) -> None:
    with ModelServer(every=Fault(status=500, message="scripted fault")) as model:
        ran = try_program(name, tmp_path, model.url, longest_seconds=LONGEST_SECONDS)

    _is_a_refusal(ran)


# Codex waits for the network without an end: the run's limits end it.
@pytest.mark.parametrize("name", ["gemini", "opencode"])
def test_a_provider_that_is_not_there_is_a_refusal(name: str, tmp_path: Path) -> None:
    ran = try_program(name, tmp_path, f"http://127.0.0.1:{free_port()}", longest_seconds=LONGEST_SECONDS)

    _is_a_refusal(ran)
