"""Git over HTTP: a real git against a real server, in both ways the platform runs one (threads, and gevent)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from common.providers.forge import BareForge
from common.values.repository import Repository
from tests.attacks.bombs import file_of_zeros, tree_bomb
from tests.e2e.instance import wait_until
from tests.long_waits import LONG_WAIT_SECONDS
from tests.processes import command_words
from tests.providers.git_work_tree import WorkTree, git

SHOP = Repository("aiworker", "shop", "project-1")

# One application for both servers. Who may push what is decided by the platform's own route, from its database.
_APPLICATION = """
import os
from pathlib import Path

from flask import Flask, Response

from common.providers.forge import BareForge
from common.values.repository import Repository
from web.git.smart_http import serve_git

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 1024


@app.route("/<test>/git/<owner>/<name>.git/<path:service_path>", methods=["GET", "POST"])
def git(test: str, owner: str, name: str, service_path: str) -> Response:
    root = Path(os.environ["FOLDER"], test, "root")
    forge = BareForge(root, public_url="http://x", internal_url="http://x", import_allow=())
    repository = Repository(owner, name, "project-1")
    return serve_git(
        forge.repository_path(repository), service_path=service_path, may_write=True,
        hidden_refs=("refs/heads/staging", "refs/heads/release/"), only_refs=None, user="person",
        max_bytes=int(os.environ["MAX_BYTES"]), push_check=forge.push_check(max_file_bytes=64 * 2**20), judge=None,
    )
"""

_THREADS = """
import sys
from application import app
from werkzeug.serving import make_server
make_server("127.0.0.1", 0, app, threaded=True, fd=int(sys.argv[1])).serve_forever()
"""


class Server:
    """The application in a process of its own. path: where it serves the test's repository."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, test: str) -> None:
        self.process = process
        self.port = port
        self.path = f"/{test}/git/aiworker/shop.git"

    def url(self, user: str, password: str = "x") -> str:
        return f"http://{user}:{password}@127.0.0.1:{self.port}{self.path}"

    def backends(self) -> list[psutil.Process]:
        """The git processes that it runs now."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if "git" in "".join(command_words(child)[:1])]


@contextmanager
def running(kind: str, folder: Path, max_bytes: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process and its port. It serves what the tests whose folders lie beside this one keep in `root`."""
    (folder / "application.py").write_text(_APPLICATION)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    descriptor = str(listener.fileno())
    python = [sys.executable]
    gunicorn = ["-m", "gunicorn", "--worker-class", "gevent", "--no-control-socket", "--log-level", "error",
                "--worker-tmp-dir", str(folder), "--bind", f"fd://{descriptor}", "application:app"]  # fmt: skip
    process = subprocess.Popen(
        python + (gunicorn if kind == "gevent" else ["-c", _THREADS, descriptor]),
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{folder}:{Path(__file__).parents[2]}",
            "FOLDER": str(folder.parent),
            "MAX_BYTES": str(max_bytes),
        },
        pass_fds=[listener.fileno()],
        stderr=subprocess.DEVNULL,
    )
    port = listener.getsockname()[1]
    # Connections wait in the listener's queue until the server takes them, so nothing has to be waited for here.
    listener.close()
    try:
        yield process, port
    finally:
        process.terminate()
        process.wait(LONG_WAIT_SECONDS)


@pytest.fixture
def forge(tmp_path: Path) -> BareForge:
    forge = BareForge(tmp_path / "root", public_url="http://x", internal_url="http://x", import_allow=())
    forge.ensure_repository(SHOP, default_branch="main", description="A shop", import_url=None)
    return forge


@pytest.fixture(params=["threads", "gevent"])
def server(request: pytest.FixtureRequest, forge: BareForge, tmp_path: Path) -> Iterator[Server]:
    with running(request.param, tmp_path, max_bytes=100 * 2**20) as (process, port):
        yield Server(process, port, tmp_path.name)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with running("threads", tmp_path_factory.mktemp("server"), max_bytes=2 * 2**20) as process_and_port:
        yield process_and_port


@pytest.fixture
def a_server(shared_server: tuple[subprocess.Popen[bytes], int], forge: BareForge, tmp_path: Path) -> Server:
    """Where the kind of server makes no difference. It takes 2 MiB."""
    return Server(*shared_server, tmp_path.name)


def get(url: str, *, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    login = url.removeprefix("http://").partition("@")[0]
    manager = urllib.request.HTTPPasswordMgrWithPriorAuth()
    user, _, password = login.partition(":")
    plain = url.replace(f"{login}@", "")
    manager.add_password(None, plain, user, password, is_authenticated=True)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
    try:
        with opener.open(
            urllib.request.Request(plain, data=body, headers=headers or {}), timeout=LONG_WAIT_SECONDS
        ) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()


@pytest.mark.slow
def test_a_clone_and_a_push(server: Server, forge: BareForge, tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "work", server.url("person"))
    commit = work.commit({"a": "a"}, on="feature")

    work.push("feature")
    again = WorkTree(tmp_path / "again", server.url("reader"))

    assert forge.read_head(SHOP, "feature") == commit
    assert git("rev-parse", "origin/feature", at=again.path) == commit


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/HEAD", 404),
        ("/info/refs?service=git-upload-archive", 404),
        ("/info/../config", 404),
        ("/git-upload-pack", 405),
        ("/info/refs?service=git-upload-pack", 200),
    ],
)
def test_only_the_smart_protocol_is_served(a_server: Server, path: str, status: int) -> None:
    assert get(a_server.url("person") + path)[0] == status


@pytest.mark.slow
def test_a_push_that_is_too_large_is_refused_with_the_reason(
    a_server: Server, forge: BareForge, tmp_path: Path
) -> None:
    work = WorkTree(tmp_path / "work", a_server.url("person"))
    work.commit({"large": os.urandom(8 * 2**20)}, on="feature")

    in_chunks = work.push("feature", accept=(1, 128))
    git("config", "http.postBuffer", str(20 * 2**20), at=work.path)
    in_one = work.push("feature", accept=(1, 128))

    assert "maximum allowed size" in in_chunks
    assert "413" in in_one
    assert forge.read_head(SHOP, "feature") is None


@pytest.mark.slow
def test_git_ends_when_its_client_goes_away_in_the_middle_of_a_push(server: Server, forge: BareForge) -> None:
    request = (
        f"POST {server.path}/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Basic cGVyc29uOng=\r\n"
        "Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 1000000\r\n\r\n0094"
    ).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=LONG_WAIT_SECONDS) as client:
        client.sendall(request)
        wait_until("git to begin", lambda: bool(server.backends()))

    wait_until("git to end", lambda: not server.backends())


def _bomb(work: WorkTree) -> str:
    return tree_bomb(work.path)


def _zeros(work: WorkTree) -> str:
    return file_of_zeros(work.path, 70 * 2**20)


@pytest.mark.slow
@pytest.mark.parametrize("attack", [_bomb, _zeros])
def test_a_push_that_is_too_large_unpacked_is_refused_and_leaves_nothing(
    a_server: Server, forge: BareForge, tmp_path: Path, attack: Callable[[WorkTree], str]
) -> None:
    work = WorkTree(tmp_path / "work", a_server.url("person"))
    sha = attack(work)
    path = forge.repository_path(SHOP)
    before = git("for-each-ref", at=path)

    said = work.push(f"{sha}:refs/heads/feature", accept=(1,))

    assert "too_large: " in said
    assert "pre-receive hook declined" in said
    assert git("for-each-ref", at=path) == before
    assert "fatal" in git("cat-file", "-t", sha, at=path, accept=(128,))
    work.push(f"{work.commit({'a': 'a'}, on='feature')}:refs/heads/feature")
