"""A part is measured in a process of its own, and whatever happens to it is said."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import __main__ as command
from tests.bench import parts
from tests.bench.figures import Figure, Found
from tests.bench.parts import Failed, measure


def _figures(name: str, times: int) -> Iterator[Found]:
    os.environ["AIWORKER_INSTANCE"] = name
    yield Figure(name, [1.0] * times, "ms")
    if name == "broken":
        raise RuntimeError("the server did not start\nand more")
    if name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "hangs":
        threading.Event().wait()


@pytest.mark.slow
def test_what_a_part_yields_comes_back_and_its_environment_stays_its_own() -> None:
    assert list(measure("whole", 3, figures=_figures)) == [Figure("whole", [1.0] * 3, "ms")]
    assert "AIWORKER_INSTANCE" not in os.environ


@pytest.mark.slow
def test_a_part_that_fails_says_why_and_keeps_what_it_measured() -> None:
    first, failed = measure("broken", 1, figures=_figures)

    assert first == Figure("broken", [1.0], "ms")
    assert isinstance(failed, Failed)
    assert failed.why == "RuntimeError: the server did not start"
    assert "_figures" in failed.details


@pytest.mark.slow
def test_a_part_whose_process_is_killed_has_failed() -> None:
    assert list(measure("killed", 1, figures=_figures))[-1] == Failed("its process ended with -9")


def test_a_part_that_hangs_is_ended() -> None:
    found = list(measure("hangs", 1, figures=_figures, seconds=0.5))

    assert found[-1] == Failed("it took more than 0.5 s")


def test_a_module_that_cannot_be_imported_fails_its_part_alone() -> None:
    assert [one.why for one in measure("nothing", 1) if isinstance(one, Failed)] == ["KeyError: 'nothing'"]


def test_every_module_with_figures_is_a_part() -> None:
    folder = Path(parts.__file__).parent
    found = {path.stem for path in folder.glob("*.py") if "\ndef figures(" in path.read_text("utf-8")}

    assert found - set(parts.MODULES.values()) == set()


def _twice(name: str, times: int) -> Iterator[Found]:
    yield from [Figure(name, times, "ms")] * 2


@pytest.mark.slow
def test_a_part_whose_figures_can_not_be_told_apart_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "measure", lambda name, times: measure(name, times, figures=_twice))

    assert "two figures have one name" in command.measure("twice", 1).failed
