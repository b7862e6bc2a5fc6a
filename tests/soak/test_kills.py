"""Everything is killed while a question is open; the CLIs that `make test` does not kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.model_server import ModelServer
from tests.e2e.models import KEYS, environment_for, environment_of_tests
from tests.e2e.real_agents import answer_after_a_kill
from tests.e2e.story_tasks import scenes


@pytest.mark.timeout(900)
@pytest.mark.parametrize("driver", sorted(KEYS.keys() - {"claude"}))
def test_an_answer_after_a_kill_goes_on_in_the_same_session(driver: str, tmp_path: Path) -> None:
    with ModelServer(scenes(driver)) as model:
        environ = environment_for(driver, model) | environment_of_tests()

        answer_after_a_kill(tmp_path, driver, model, environ)
