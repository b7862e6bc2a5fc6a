"""`aiworker watch`: how it connects."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from common.states import Role
from tests import builders
from tests.patience import PATIENCE_SECONDS
from tests.tls import make_certificate, tls_in_front_of
from tests.web.cli.test_main import aiworker
from tests.web.made import a_project, a_task
from tests.web.world import served

pytestmark = pytest.mark.usefixtures("plain_app")


@pytest.fixture
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`localhost` is ::1, and 127.0.0.1, as most machines have it."""
    ask = socket.getaddrinfo

    def answer(host: str, port: int, *rest: Any, **named: Any) -> list[Any]:
        found = ask(host, port, *rest, **named)
        others = [one for one in found if one[0] == socket.AF_INET]
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)), *others] if others else found

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", answer)
        yield


def _first_event(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is shown of tasks that are made until something is."""
    monkeypatch.setenv("AIWORKER_TOKEN", builders.a_token(builders.a_user("ada", Role.ADMIN)))
    project = a_project()
    with ThreadPoolExecutor(1) as pool:
        shown = pool.submit(aiworker, "--url", url, "watch", "--count", "1")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not shown.done() and time.monotonic() < deadline:
            a_task(project, "Add a cart")
            wait([shown], timeout=0.2)
    return shown.result()


@pytest.mark.usefixtures("two_addresses")
def test_the_address_that_answers_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with served() as url:
        assert "task:created" in _first_event(url.replace("127.0.0.1", "localhost"), monkeypatch)


@pytest.mark.usefixtures("no_named_certificates")
def test_an_authority_of_ones_own_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = make_certificate(tmp_path, "localhost")
    with served() as url, tls_in_front_of(int(url.rpartition(":")[2]), paths) as port:
        monkeypatch.setenv("SSL_CERT_FILE", str(paths.certificate))
        assert "task:created" in _first_event(f"https://localhost:{port}", monkeypatch)


def test_a_token_that_is_refused_is_named_by_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    with served() as url:
        assert aiworker("--url", url, "--token", "aiw_wrong", "watch", code=1).endswith("; check --token")
        monkeypatch.setenv("AIWORKER_TOKEN", "aiw_wrong")
        assert aiworker("--url", url, "watch", code=1).endswith("; check AIWORKER_TOKEN")


def test_it_ends_where_no_websocket_is_passed_on(ours: str) -> None:
    """The server of this process answers requests alone, as a proxy does that was not told of WebSockets."""
    said = aiworker("watch", code=1)

    assert said.startswith(f"aiworker: {ours} answers, but not its WebSocket at /ws: ")
    assert said.endswith("; does a proxy in front of it pass that on?")
