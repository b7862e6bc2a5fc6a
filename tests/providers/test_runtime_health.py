"""What counts as a healthy answer: a status, on the same host, and the text that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.providers.runtime import ProcessRuntime
from common.values.delivery.app import App, AppPhase, AppState, Health, ProjectNamespace
from tests.providers.runtime_contract import settled
from tests.providers.runtime_supervisor import RUN_WEB_APP, Repository, supervised

pytestmark = pytest.mark.slow

SPACE = ProjectNamespace("shop-0000beef", "project-1")
BAD_SECONDS = 12
"""What is never healthy is given up then: after its start, also on a busy machine."""
PATIENT = {"start_seconds": 60}
"""For versions that are to become healthy."""

APP = """
import http.server, os

class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        name, _, more = self.path.strip("/").partition("/")
        if name == "to":
            self.send_response(302)
            self.send_header("Location", more.replace("HOST", self.headers["Host"]))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif name == "chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"7\\r\\nall is \\r\\n4;x=y\\r\\nwell\\r\\n0\\r\\n\\r\\n")
        else:
            body = b"all is well" + b" " * (2**21 if name == "long" else 0)
            self.send_response(int(name or 200) if name.isdigit() else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), App).serve_forever()
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ProcessRuntime]:
    # All start at once: in turns, what is never healthy would keep the next waiting for some seconds.
    with supervised(tmp_path / "runtime", constants={"units.overload.STARTS_AT_ONCE": 8}) as running:
        yield running.runtime


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def outcomes(runtime: ProcessRuntime, repository: Repository, *wanted: dict[str, Any]) -> list[AppState]:
    """How versions with these fields end, all started at once."""
    commit = repository.commit(app__py=APP)
    apps = [App(SPACE, f"task-{number:08}") for number in range(len(wanted))]
    for app, fields in zip(apps, wanted, strict=True):
        options = {"start_command": RUN_WEB_APP, "start_seconds": BAD_SECONDS, **fields}
        runtime.ensure_app(app, repository.version("v1", commit, **options))
    return [settled(runtime, app, "v1") for app in apps]


def test_an_error_a_redirect_elsewhere_and_one_without_end_are_not(
    runtime: ProcessRuntime, repository: Repository
) -> None:
    said = {
        "/400": "it answered GET /400 with 400",
        "/404": "it answered GET /404 with 404",
        "/to//500": "it answered GET /to//500, which led to /500, with 500",
        "/to/http://127.0.0.1:9/": "with 302, which leads to another host (127.0.0.1:9)",
        "/to/https://login.example/": "with 302, which leads to another host (login.example)",
        "/to/loop": "with more than 5 redirects",
    }
    found = outcomes(runtime, repository, *({"health": Health(path)} for path in said))

    for path, state in zip(said, found, strict=True):
        assert (state.phase, state.code) == (AppPhase.FAILED, "unhealthy"), path
        assert str(state.reason).endswith(said[path])


def test_the_text_has_to_be_there(runtime: ProcessRuntime, repository: Repository) -> None:
    good = [{"health": Health(path, "all is well"), **PATIENT} for path in ("/", "/chunks", "/long", "/to//200")]
    bad = [{"health": Health(path, "we are open")} for path in ("/", "/chunks", "/long", "/to//200")]
    found = outcomes(runtime, repository, *good, *bad)

    assert [state.phase for state in found[:4]] == [AppPhase.LIVE] * 4
    for state in found[4:]:
        assert (state.phase, state.code) == (AppPhase.FAILED, "unhealthy")
        assert str(state.reason).endswith("and without the text 'we are open'")
