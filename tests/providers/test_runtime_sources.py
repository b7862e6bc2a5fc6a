"""What of a repository is run: its start command, its Procfile, its pages; and how it is cloned."""

from __future__ import annotations

import base64
import http.server
import os
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.providers.runtime import ProcessRuntime
from common.values.delivery.app import App, ProjectNamespace
from common.values.repository import Source
from tests.providers.runtime_contract import check_of, finished, settled
from tests.providers.runtime_supervisor import RUN_WEB_APP, WEB_APP, Repository, get, supervised

pytestmark = pytest.mark.slow

APP = App(ProjectNamespace("shop-0000beef", "project-1"), "task-0000cafe")


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ProcessRuntime]:
    with supervised(tmp_path / "runtime") as running:
        yield running.runtime


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_the_procfiles_web_line_is_run(runtime: ProcessRuntime, repository: Repository) -> None:
    procfile = f"worker: exit 1\nweb: {RUN_WEB_APP}\n"
    commit = repository.commit(app__py=WEB_APP, says="procfile", Procfile=procfile, index__html="page")
    url = runtime.ensure_app(APP, repository.version("v1", commit)).url
    settled(runtime, APP, "v1")

    assert get(url) == (200, "procfile")


def test_a_page_isServed_as_files_and_nothing_else_is(runtime: ProcessRuntime, repository: Repository) -> None:
    commit = repository.commit(index__html="<p>hello", app__mjs="export {}", style__css="p {}", __env="SECRET=1")
    url = runtime.ensure_app(APP, repository.version("v1", commit)).url
    settled(runtime, APP, "v1")

    assert get(url) == (200, "<p>hello")
    for path, kind in [("/", "text/html"), ("/app.mjs", "text/javascript"), ("/style.css?v=1", "text/css")]:
        with urllib.request.urlopen(url + path) as answer:
            assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
    for path in ("/.git/config", "/.env", "/missing", "/..%2f..%2fetc/passwd", "/%2e%2e/home/", "/index.html/"):
        assert get(url, path)[0] == 404, path


def test_a_clone_over_http_sends_the_credential_and_keeps_it_out_of_the_checkout(
    runtime: ProcessRuntime, repository: Repository, tmp_path: Path
) -> None:
    commit = repository.commit(index__html="over http")
    repository.serve_plainly()
    with ServedRepository(repository.path / ".git", "agent", "s3cret-pass") as url:
        check = check_of(repository.version("v1", commit), APP.space, "check", "git log -1 --format=%H; env")
        good = replace(check, source=Source(url, "agent", "s3cret-pass"))
        runtime.ensure_check(good)
        state = finished(runtime, good)
        runtime.delete_environment(APP.space)
        bad = replace(check, check_id="other", source=Source(url, "agent", "wr0ng-pass"))
        runtime.ensure_check(bad)
        refused = finished(runtime, bad)

    assert state.log.splitlines()[0] == commit
    assert "s3cret-pass" not in state.log
    assert refused.reason is not None
    assert refused.reason.startswith(f"the checkout of {commit} failed")
    assert "wr0ng" not in refused.reason
    kept = [file for file in (tmp_path / "runtime").rglob("*") if file.is_file()]
    assert not any(b"s3cret-pass" in file.read_bytes() for file in kept)


class ServedRepository:
    """Git's dumb protocol behind Basic credentials."""

    def __init__(self, directory: Path, username: str, password: str) -> None:
        expected = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()

        class Files(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=os.fspath(directory))  # type: ignore[arg-type]

            def log_message(self, *arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                if self.headers.get("Authorization") == expected:
                    super().do_GET()
                else:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", "Basic")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
