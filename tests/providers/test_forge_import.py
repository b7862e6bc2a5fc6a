"""Importing a repository over HTTP: whole, only from where it may, and completed after a crash half-way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from common.errors import ProviderUnavailable
from common.providers.forge import BareForge
from common.values.repository import Repository
from tests.long_waits import LONG_WAIT_SECONDS
from tests.providers.forge_contract import refused
from tests.providers.git_work_tree import WorkTree, git

SHOP = Repository("aiworker", "shop", "project-1")


class _Files(SimpleHTTPRequestHandler):
    """Serves files; can be told to hold back objects, to redirect, or to fail, and counts what was asked."""

    server: Origin

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        # A proxy is asked with whole addresses.
        self.path = urlsplit(self.path).path
        if self.server.redirect_to is not None:
            self.send_response(302)
            self.send_header("Location", self.server.redirect_to + self.path)
            self.end_headers()
            return
        if self.server.failure is not None:
            self.send_error(self.server.failure)
            return
        if "/objects/" in self.path and self.path.count("/") > 3:
            self.server.reached_objects.set()
            self.server.may_answer.wait(60)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name it has in the base class)
        pass


class Origin(ThreadingHTTPServer):
    """Another forge, as far as an import can see."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Files, directory=str(folder)))
        self.asked: list[str] = []
        self.redirect_to: str | None = None
        self.failure: int | None = None
        self.reached_objects = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no news."""

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}/source.git"


@contextmanager
def serving(folder: Path) -> Iterator[Origin]:
    with Origin(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.may_answer.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def source(tmp_path: Path) -> WorkTree:
    """A clone of the repository that is served: branches trunk (its HEAD) and side, an annotated tag."""
    served = tmp_path / "served" / "source.git"
    git("init", "--quiet", "--bare", "--initial-branch=trunk", str(served))
    tree = WorkTree(tmp_path / "source", str(served))
    tree.commit({"README.md": "theirs"}, on="trunk")
    tree.commit({"side": "side"}, on="side")
    git("tag", "--annotate", "--message", "First", "v1", at=tree.path)
    tree.push("trunk", "side", "v1")
    git("update-server-info", at=served)
    return tree


@pytest.fixture
def origin(source: WorkTree, tmp_path: Path) -> Iterator[Origin]:
    with serving(tmp_path / "served") as server:
        yield server


def forge_at(root: Path, *allow: str) -> BareForge:
    return BareForge(root, public_url="http://x", internal_url="http://x", import_allow=allow)


def test_an_import_holds_all_branches_and_tags(origin: Origin, source: WorkTree, tmp_path: Path) -> None:
    forge = forge_at(tmp_path / "root", origin.place)

    for _ in range(2):
        state = forge.ensure_repository(SHOP, default_branch="side", description="", import_url=origin.url)

        assert (state.default_branch, state.default_head) == ("side", git("rev-parse", "side", at=source.path))
    assert forge.read_head(SHOP, "trunk") == git("rev-parse", "trunk", at=source.path)
    tags = git("for-each-ref", "--format=%(refname) %(objecttype)", "refs/tags", at=forge.repository_path(SHOP))
    assert tags == "refs/tags/v1 tag"
    assert forge.read_file(SHOP, commit=state.default_head, path="README.md") == b"theirs"


def test_branches_in_the_place_of_the_platforms_get_other_names(
    origin: Origin, source: WorkTree, tmp_path: Path
) -> None:
    theirs = git("rev-parse", "side", at=source.path)
    heads = {"staging": "imported/staging", "release/2-0": "imported/release/2-0", "releases": "releases"}
    source.push(*(f"side:refs/heads/{name}" for name in heads), "side:refs/tags/released")
    git("update-server-info", at=tmp_path / "served" / "source.git")
    forge = forge_at(tmp_path / "root", origin.place)

    for _ in range(2):
        state = forge.ensure_repository(SHOP, default_branch="main", description="", import_url=origin.url)

    for name, now in heads.items():
        assert (forge.read_head(SHOP, now), forge.read_head(SHOP, name)) == (theirs, theirs if now == name else None)
    forge.advance(SHOP, "staging", old=None, new=state.default_head, force=True)
    forge.advance(SHOP, "release/2-0", old=None, new=state.default_head, force=True)
    forge.ensure_tag(SHOP, "released/2-0", at=state.default_head)
    assert git("rev-parse", "refs/tags/imported/released", at=forge.repository_path(SHOP)) == theirs


def test_a_private_address_is_never_asked(origin: Origin, tmp_path: Path) -> None:
    forge = forge_at(tmp_path / "root", "127.0.0.2", f"127.0.0.1:{origin.server_port + 1}")

    with refused("import_failed"):
        forge.ensure_repository(SHOP, default_branch="main", description="", import_url=origin.url)

    assert origin.asked == []
    with refused("no_repository"):
        forge.read_head(SHOP, "main")


def test_a_redirect_is_not_followed(origin: Origin, tmp_path: Path) -> None:
    with serving(tmp_path / "served") as elsewhere:
        origin.redirect_to = f"http://{elsewhere.place}"
        forge = forge_at(tmp_path / "root", origin.place, elsewhere.place)

        with refused("import_failed"):
            forge.ensure_repository(SHOP, default_branch="main", description="", import_url=origin.url)

        assert origin.asked
        assert elsewhere.asked == []


def test_the_sources_alternates_are_not_followed(origin: Origin, source: WorkTree, tmp_path: Path) -> None:
    with serving(tmp_path / "served") as elsewhere:
        served = tmp_path / "served" / "source.git"
        (served / "objects" / "info" / "http-alternates").write_text(f"{elsewhere.url}/objects/\n")
        missing = git("rev-parse", "side", at=source.path)
        (served / "objects" / missing[:2] / missing[2:]).unlink()

        with refused("import_failed"):
            forge_at(tmp_path / "root", origin.place, elsewhere.place).ensure_repository(
                SHOP, default_branch="main", description="", import_url=origin.url
            )

        assert elsewhere.asked == []


def test_a_server_in_trouble_may_be_asked_again(origin: Origin, tmp_path: Path) -> None:
    forge = forge_at(tmp_path / "root", origin.place)
    origin.failure = 503
    with pytest.raises(ProviderUnavailable):
        forge.ensure_repository(SHOP, default_branch="main", description="", import_url=origin.url)
    origin.failure = None

    assert forge.ensure_repository(SHOP, default_branch="main", description="", import_url=origin.url).default_head


_IMPORT = """
import sys
from pathlib import Path
from common.providers.forge import BareForge
from common.values.repository import Repository
root, place, url = sys.argv[1:]
forge = BareForge(Path(root), public_url="http://x", internal_url="http://x", import_allow=(place,))
forge.ensure_repository(Repository("aiworker", "shop", "project-1"), default_branch="side", description="",
                        import_url=url)
"""


@pytest.mark.slow
def test_an_import_killed_half_way_is_completed_by_the_next(origin: Origin, source: WorkTree, tmp_path: Path) -> None:
    root = tmp_path / "root"
    forge = forge_at(root, origin.place)
    origin.may_answer.clear()
    process = subprocess.Popen([sys.executable, "-c", _IMPORT, str(root), origin.place, origin.url])
    assert origin.reached_objects.wait(LONG_WAIT_SECONDS)
    assert list((root / "aiworker").glob(".*.shop.git"))
    with pytest.raises(ProviderUnavailable, match="another process holds"):
        forge.ensure_repository(SHOP, default_branch="side", description="", import_url=origin.url)

    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with refused("no_repository"):
        forge.read_head(SHOP, "side")
    origin.may_answer.set()
    state = forge.ensure_repository(SHOP, default_branch="side", description="", import_url=origin.url)

    assert state.default_head == git("rev-parse", "side", at=source.path)
    assert not list((root / "aiworker").glob(".*.shop.git"))
