"""The settings of a process: read once, and anew when asked to, whatever other threads do meanwhile."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.settings import _Once, from_env, settings
from tests.e2e.instance import wait_until


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def waits(thread: threading.Thread) -> bool:
    """Whether the thread is inside `cache_clear`."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_name == "cache_clear"


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_INSTANCE", "one")
    first = settings()
    monkeypatch.setenv("AIWORKER_INSTANCE", "two")

    assert settings() is first
    settings.cache_clear()
    assert settings().instance == "two"


def test_a_read_that_began_before_does_not_come_back_after_a_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "key"
    os.mkfifo(pipe)
    monkeypatch.setenv("AIWORKER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("AIWORKER_SECRET_KEY", raising=False)
    monkeypatch.setenv("AIWORKER_SECRET_KEY_FILE", str(pipe))
    monkeypatch.setenv("AIWORKER_INSTANCE", "old")
    # One of its own: a thread of an earlier test may read the process's at any moment.
    once = _Once()
    early = threading.Thread(target=once)
    early.start()
    with pipe.open("w") as key:  # open as soon as the other side reads
        monkeypatch.delenv("AIWORKER_SECRET_KEY_FILE")
        monkeypatch.setenv("AIWORKER_INSTANCE", "new")
        clearing = threading.Thread(target=lambda: (once.cache_clear(), once()))
        clearing.start()
        wait_until("the clear to be done, or to wait for the read", lambda: not clearing.is_alive() or waits(clearing))
        key.write("a secret key that only tests use, 32 characters and more")
    early.join()
    clearing.join()

    assert once().instance == "new"


def test_no_test_reads_the_settings_of_this_checkouts_own_instance() -> None:
    assert settings().store.data_dir.resolve() != Path(".aiworker").resolve()


@pytest.mark.parametrize(
    ("host", "public", "internal"),
    [
        (None, "http://localhost:4000", "http://127.0.0.1:4000"),
        ("127.0.0.1", "http://localhost:4000", "http://127.0.0.1:4000"),
        ("localhost", "http://localhost:4000", "http://127.0.0.1:4000"),
        ("0.0.0.0", "http://localhost:4000", "http://127.0.0.1:4000"),
        ("::", "http://localhost:4000", "http://127.0.0.1:4000"),
        ("192.0.2.7", "http://192.0.2.7:4000", "http://192.0.2.7:4000"),
        ("::1", "http://[::1]:4000", "http://[::1]:4000"),
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
