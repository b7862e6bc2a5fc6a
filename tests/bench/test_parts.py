"""A part is measured in a process of its own, and whatever happens to it is said."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import parts
from tests.bench.figures import Figure, Found
from tests.bench.parts import Failed, measure


def _figures(name: str, times: int) -> Iterator[Found]:
    yield Figure(name, [1.0] * times, "ms")
    if name == "broken":
        raise RuntimeError("the server did not start\nand more")
    if name == "hangs":
        threading.Event().wait()


@pytest.mark.slow
def test_a_part_that_fails_says_why_and_keeps_what_it_measured() -> None:
    first, failed = measure("broken", 1, figures=_figures)

    assert first == Figure("broken", [1.0], "ms")
    assert isinstance(failed, Failed)
    assert failed.why == "RuntimeError: the server did not start"
    assert "_figures" in failed.details


def test_a_part_that_hangs_is_ended() -> None:
    found = list(measure("hangs", 1, figures=_figures, seconds=0.5))

    assert found[-1] == Failed("it took more than 0.5 s")


def test_every_module_with_figures_is_a_part() -> None:
    folder = Path(parts.__file__).parent
    found = {path.stem for path in folder.glob("*.py") if "\ndef figures(" in path.read_text("utf-8")}

    assert found - set(parts.MODULES.values()) == set()
