"""The compose file and the development container name what the image, the settings and the checkout have."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from common.settings import from_env
from tests.servers import ROOT
from tests.test_settings_page import _read
from web.cli.main import COMMANDS

COMPOSE = ROOT / "deploy" / "compose"
OF_MARIADB = {"MARIADB_DATABASE", "MARIADB_USER", "MARIADB_PASSWORD", "MARIADB_RANDOM_ROOT_PASSWORD"}
OF_CLIS = {"ANTHROPIC_API_KEY"}


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8"))
    return found


def example() -> dict[str, str]:
    """The lines of the example, also those that are commented out."""
    lines = (COMPOSE / "env.example").read_text("utf-8").splitlines()
    return dict(line.lstrip("#").split("=", 1) for line in lines if re.match(r"#?[A-Z_]+=", line))


def test_the_service_is_the_image_and_the_command_that_exist() -> None:
    service = compose()["services"]["aiworker"]
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")

    assert (COMPOSE / service["build"]["context"]).resolve() == ROOT
    assert re.search(rf"^FROM \w+ AS {service['build']['target']}$", dockerfile, re.MULTILINE)
    program, command = service["command"]
    assert program == "aiworker"
    assert command in COMMANDS
    (volume,) = re.findall(r"^VOLUME (\S+)$", dockerfile, re.MULTILINE)
    assert service["volumes"] == [f"data:{volume}"]
    # The image listens on every address, which the machine's own network must not.
    assert service["environment"]["AIWORKER_HOST"] == "127.0.0.1"


@pytest.mark.slow
def test_it_names_settings_that_exist() -> None:
    services = compose()["services"]

    assert set(services["aiworker"]["environment"]) <= _read()
    assert set(services["db"]["environment"]) == OF_MARIADB
    assert set(example()) - OF_MARIADB - OF_CLIS <= _read()
    given = {name: value for name, value in example().items() if value}
    chosen = from_env({**given, "AIWORKER_SECRET_KEY": "k" * 32, "AIWORKER_DATA_DIR": "/nonexistent/aiworker"})
    assert not chosen.store.is_sqlite
