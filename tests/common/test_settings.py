"""The settings of a process: read once, and anew when asked to, whatever other threads do meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.settings import from_env, settings


@pytest.fixture(autouse=True)
def _reread_settings() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_INSTANCE", "one")
    first = settings()
    monkeypatch.setenv("AIWORKER_INSTANCE", "two")

    assert settings() is first
    settings.cache_clear()
    assert settings().instance == "two"


@pytest.mark.parametrize(
    ("host", "public", "internal"),
    [
        (None, "http://localhost:4000", "http://127.0.0.1:4000"),
        ("0.0.0.0", "http://localhost:4000", "http://127.0.0.1:4000"),
        ("192.0.2.7", "http://192.0.2.7:4000", "http://192.0.2.7:4000"),
        ("[::1]", "http://[::1]:4000", "http://[::1]:4000"),
        ("build.lan", "http://build.lan:4000", "http://build.lan:4000"),
    ],
)
def test_addresses_are_where_the_web_server_listens(
    tmp_path: Path, host: str | None, public: str, internal: str
) -> None:
    environ = {"AIWORKER_DATA_DIR": str(tmp_path), "AIWORKER_PORT": "4000"} | ({"AIWORKER_HOST": host} if host else {})
    web = from_env(environ).web

    assert (web.public_url, web.internal_url) == (public, internal)
    # The Procfile needs an IPv6 address in brackets, as gunicorn does.
    assert web.host == (host or "127.0.0.1").strip("[]")
