"""A platform whose jobs are run by hand, with the app on its database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.long_waits import LONG_WAIT_SECONDS
from tests.sequences.driver import play
from tests.sequences.stage import Stage
from tests.workers.conftest import platform_on as platform_on
from web.app import create_app
from web.websocket.hub import end_hub

Play = Callable[[str, int, int], None]


@pytest.fixture
def play_on(platform_on) -> Iterator[Play]:  # type: ignore[no-untyped-def]
    """Plays the story of a seed, of so many acts, on a database that has the schema. If it fails, it is printed."""

    def run(database_url: str, seed: int, steps: int) -> None:
        stage = Stage(platform_on(database_url), create_app(), seed)
        try:
            play(stage, steps)
        except BaseException:
            print(f"The story of seed {seed}, to its bad end:", *stage.story, sep="\n")
            raise

    yield run
    assert end_hub(LONG_WAIT_SECONDS)
