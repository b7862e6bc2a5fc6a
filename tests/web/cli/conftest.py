"""What every test of the command starts from: a config folder of its own, and a server in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from common.models import User
from common.values.states import Role
from tests import builders
from tests.web.git.test_smart_http import served_app


@pytest.fixture(autouse=True)
def config_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user who types; nobody is logged in."""
    folder = tmp_path / "config of ada"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder


@pytest.fixture
def ada(plain_app: Flask) -> User:
    return builders.a_user("ada", Role.ADMIN)


@pytest.fixture
def address(plain_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The app behind a server of this process: cheaper than a program of its own. Commands need a token for it."""
    monkeypatch.delenv("AIWORKER_TOKEN", raising=False)
    monkeypatch.delenv("AIWORKER_URL", raising=False)
    with served_app(plain_app) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def ours(address: str, ada: User, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address, which commands find with ada's token."""
    monkeypatch.setenv("AIWORKER_URL", address)
    monkeypatch.setenv("AIWORKER_TOKEN", builders.a_token(ada))
    return address
