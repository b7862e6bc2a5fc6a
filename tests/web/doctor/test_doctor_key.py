"""What the doctor finds of the secret key: on SQLite and MariaDB, with what the platform itself has sealed."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from common.services.upkeep.sealed_values import is_another_key
from common.settings import settings
from common.values.finding import Finding
from common.values.states import Role
from tests import builders
from tests.web.factories import a_project
from web.doctor.checks import examine

PAGE = "docs/troubleshooting.md"
ANOTHER = "another secret key, of 32 characters and more"
PROVIDER = {"name": "mine", "api": "anthropic", "baseUrl": "https://models.example", "key": "sk-ant-0123456789"}


def of_key() -> list[Finding]:
    return [one for one in examine() if one.part == "key"]


@pytest.fixture
def ada(app: Flask) -> Any:
    return builders.client_of(app, builders.a_user("ada", Role.ADMIN))


@pytest.mark.slow
def test_a_replaced_key_is_named_with_what_it_does_not_open(ada: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert of_key() == []
    a_project(name="shop", secret_env_vars={"KEY": "a secret value"}, env_vars={"PLAIN": "x"})
    a_project(name="other", env_vars={"PLAIN": "x"})
    assert ada.post("/api/model-providers", json=PROVIDER).status_code == 201
    assert ada.patch("/api/webhook", json={"url": "https://example.com/hook"}).status_code == 200
    assert of_key() == [Finding("ok", "key", "it opens what is stored")]
    assert not is_another_key()

    monkeypatch.setenv("AIWORKER_SECRET_KEY", ANOTHER)
    settings.cache_clear()
    (found,) = of_key()

    assert is_another_key()
    assert found.status == "fail"
    assert found.says.startswith(
        "AIWORKER_SECRET_KEY is not the key that these were sealed with: the key of the model provider mine, the "
        "variables of the project other, the variables of the project shop and 1 more; set the earlier "
        "one, or go on without"
    )
    path = settings().store.data_dir / "secret_key"
    path.parent.mkdir(exist_ok=True)
    path.write_text("the key of before")
    assert f"; set the earlier one, or unset it, if the earlier one is {path}, or go on" in of_key()[0].says


@pytest.mark.usefixtures("ada")
def test_a_key_file_of_another_platform_and_a_lost_one_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    a_project(name="shop", env_vars={"PLAIN": "x"})
    path = settings().store.data_dir / "secret_key"
    monkeypatch.delenv("AIWORKER_SECRET_KEY")
    path.parent.mkdir(exist_ok=True)
    path.write_text(ANOTHER)
    settings.cache_clear()

    (replaced,) = of_key()
    path.unlink()
    settings.cache_clear()
    # The doctor works with a key of its own then.
    monkeypatch.setenv("AIWORKER_SECRET_KEY", "")
    (lost,) = of_key()

    assert replaced.status == lost.status == "fail"
    assert replaced.says.startswith(f"{path} is not the key that these were sealed with: the variables of the project")
    assert "put the earlier file back from a backup" in replaced.says
    assert lost.says.startswith(f"the secret key {path} is missing")
    assert not path.exists()
