"""A limit whose end is 20 seconds away, with the settings that a platform has by itself, for each real CLI."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from tests.doubles.model_server import ModelServer
from tests.web.gateway.limited_work import limit, limited_work, scenes
from tests.workers.runner.drivers.cli_runs import MODELS

LIMIT_SECONDS = 20


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_task_waits_for_the_end_of_a_limit_and_goes_on_in_its_session(
    name: str, plain_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        limited_work(name, plain_app, tmp_path / "agent", monkeypatch) as work,
        ModelServer(scenes(name, limit(LIMIT_SECONDS))) as model,
    ):
        limited, following = work.waits_and_goes_on(model)

    assert limited.limited_until is not None
    assert following.created_at >= limited.limited_until
