"""Files of the host that a repository names: by links in its pages, its Procfile, a kept session, a rollback mark."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from common.errors import ProviderRefused
from common.providers.runtime import ProcessRuntime
from common.values.app import App, Space
from tests.patience import PATIENCE_SECONDS
from tests.processes import words
from tests.providers.runtime_contract import settled, until
from tests.providers.runtime_supervisor import Repository, Supervisor, get, supervised
from workers.commits import PROCFILE_BYTES, is_website, start_line
from workers.jobs.rollback_barrier import _parse
from workers.launch import check_out
from workers.runner import sessions
from workers.supervisor.static import MOST_CONNECTIONS, Site

APP = App(Space("shop-0000beef", "project-1"), "task-0000cafe")
SECRET = "the platform's secret key"
LARGE_BYTES = 100 * 2**20


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with supervised(tmp_path / "runtime") as running:
        yield running


@pytest.fixture
def runtime(supervisor: Supervisor) -> ProcessRuntime:
    return supervisor.runtime


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A directory with a file that no repository may show, also under the name that a website's page has."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    for name in ("secret.key", "index.html", "Procfile"):
        (place / name).write_text(SECRET)
    return place


def serve(runtime: ProcessRuntime, repository: Repository) -> str:
    url = runtime.ensure_app(APP, repository.version("v1", repository.commit_all())).url
    state = settled(runtime, APP, "v1")
    assert state.reason is None, state.reason
    return url


def server_of(supervisor: Supervisor) -> psutil.Process:
    """The file server's process."""
    (server,) = [
        process
        for process in psutil.Process(supervisor.process.pid).children(recursive=True)
        if "static.py" in " ".join(words(process))
    ]
    return server


@pytest.mark.slow
def test_no_link_in_the_pages_shows_a_file_of_the_host(
    runtime: ProcessRuntime, repository: Repository, secret: Path
) -> None:
    root = repository.path
    (root / "index.html").write_text("hello")
    for name in ("k", "pages"):
        (root / name).mkdir()
    (root / "k" / "index.html").symlink_to(secret / "secret.key")
    (root / "pages" / "index.html").symlink_to("../k/index.html")
    (root / "way").symlink_to(secret)
    (root / "up").symlink_to("../../../../elsewhere")
    (root / "git").symlink_to(".git")
    (root / "config").symlink_to(".git/config")
    (root / "loop").symlink_to("loop")
    (root / "device").symlink_to("/dev/zero")
    url = serve(runtime, repository)

    for path in (
        *("/k/", "/k/index.html", "/k//", "/pages/", "/way/", "/way/secret.key", "/way/index.html", "/up/", "/git/"),
        *("/git/config", "/config", "/loop", "/loop/", "/device", "/k/%2e%2e/way/secret.key", "/k/..%2fway/secret.key"),
    ):
        status, body = get(url, path)
        assert status == 404, path
        assert SECRET not in body
    assert get(url) == (200, "hello")


@pytest.mark.slow
def test_an_address_that_is_none_is_refused(runtime: ProcessRuntime, repository: Repository) -> None:
    (repository.path / "index.html").write_text("hello")
    address = urlsplit(serve(runtime, repository))
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=PATIENCE_SECONDS) as client:
        client.sendall(b"GET http://[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

        assert client.makefile("rb").readline().split()[1:2] == [b"400"]


@pytest.mark.slow
def test_a_link_to_another_page_of_the_repository_is_served(runtime: ProcessRuntime, repository: Repository) -> None:
    (repository.path / "pages").mkdir()
    (repository.path / "pages" / "index.html").write_text("hello")
    (repository.path / "index.html").symlink_to("pages/index.html")
    (repository.path / "again").symlink_to("pages")
    url = serve(runtime, repository)

    assert get(url) == (200, "hello")
    assert get(url, "/again/") == (200, "hello")
    assert get(url, "/again") == (200, "hello")  # by a redirect, as for any directory


@pytest.mark.slow
def test_a_page_that_is_a_link_out_of_the_repository_is_no_website(
    runtime: ProcessRuntime, repository: Repository, secret: Path
) -> None:
    (repository.path / "index.html").symlink_to(secret / "index.html")
    runtime.ensure_app(APP, repository.version("v1", repository.commit_all()))

    assert settled(runtime, APP, "v1").code == "nothing_to_run"
    assert not is_website(repository.path)


@pytest.mark.slow
def test_a_large_file_is_streamed(supervisor: Supervisor, repository: Repository) -> None:
    # A file of zeros is small in a repository.
    with (repository.path / "zeros").open("wb") as file:
        file.truncate(LARGE_BYTES)
    (repository.path / "index.html").write_text("hello")
    url = serve(supervisor.runtime, repository)
    server = server_of(supervisor)
    with socket.create_connection((str(urlsplit(url).hostname), urlsplit(url).port or 0), timeout=60) as client:
        client.sendall(b"GET /zeros HTTP/1.0\r\n\r\n")
        received, most = 0, 0
        while chunk := client.recv(2**20):
            received += len(chunk)
            most = max(most, server.memory_info().rss)

    assert received > LARGE_BYTES
    assert most < LARGE_BYTES / 2


@pytest.mark.slow
def test_connections_are_bounded(supervisor: Supervisor, repository: Repository) -> None:
    (repository.path / "index.html").write_text("hello")
    url = serve(supervisor.runtime, repository)
    address = (str(urlsplit(url).hostname), urlsplit(url).port or 0)
    clients = [socket.create_connection(address, timeout=60) for _ in range(MOST_CONNECTIONS + 20)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\n")
    server = server_of(supervisor)
    until(lambda: server.num_threads() > MOST_CONNECTIONS - 5)

    assert server.num_threads() <= MOST_CONNECTIONS + 1
    for client in clients:
        client.close()
    until(lambda: get(url) == (200, "hello"))


@pytest.mark.slow
def test_visitors_who_keep_their_connections_keep_nobody_out(supervisor: Supervisor, repository: Repository) -> None:
    """A browser keeps six connections for its next request, so there are soon more than the server has threads."""
    (repository.path / "index.html").write_text("hello")
    url = serve(supervisor.runtime, repository)
    address = (str(urlsplit(url).hostname), urlsplit(url).port or 0)
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS):
            kept = stack.enter_context(socket.create_connection(address, timeout=60))
            kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert kept.recv(4096).startswith(b"HTTP/1.1 200")

        # Sooner than the server gives up a connection on which nothing comes.
        with urllib.request.urlopen(url, timeout=Site.timeout / 2) as answer:
            assert answer.read() == b"hello"


HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\nX-Rest: "


@pytest.mark.slow
@pytest.mark.parametrize(
    "framed",
    [b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
     b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)],
    ids=["a length", "chunks"],
)  # fmt: skip
def test_the_body_of_a_request_to_a_static_site_is_no_further_request(
    runtime: ProcessRuntime, repository: Repository, framed: bytes
) -> None:
    """A proxy in front of it sends requests of several visitors on one connection."""
    (repository.path / "index.html").write_text("hello")
    url = serve(runtime, repository)
    with socket.create_connection((str(urlsplit(url).hostname), urlsplit(url).port or 0), timeout=60) as proxy:
        proxy.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + framed)
        proxy.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: proxy.recv(65536), b""))

    assert said.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in said
    assert said.endswith(b"hello")


def test_a_procfile_is_read_only_from_the_repository(repository: Repository, secret: Path) -> None:
    file = repository.path / "Procfile"
    (secret / "Procfile").write_text("web: cat /etc/passwd\n")
    file.symlink_to(secret / "Procfile")
    assert start_line(None, repository.path) is None
    file.unlink()
    (repository.path / "Real").write_text("web: run\n")
    file.symlink_to("Real")
    assert start_line(None, repository.path) == "run"
    file.unlink()
    file.symlink_to(".git/config")
    (repository.path / ".git" / "config").write_text("web: never\n")
    assert start_line(None, repository.path) is None
    file.unlink()
    os.mkfifo(file)
    assert start_line(None, repository.path) is None


def test_a_line_of_a_procfile_that_no_shell_can_be_given_is_not_run(repository: Repository) -> None:
    (repository.path / "Procfile").write_bytes(b"web: python3 app.py \0 x\n")

    assert start_line(None, repository.path) is None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_procfile_with_a_mark_of_its_encoding_is_read(repository: Repository, encoding: str) -> None:
    (repository.path / "Procfile").write_bytes("web: python3 app.py --title Köln\r\n".encode(encoding))

    assert start_line(None, repository.path) == "python3 app.py --title Köln"


def test_a_huge_procfile_is_not_read_to_its_end(repository: Repository) -> None:
    (repository.path / "Procfile").write_bytes(b"web: " + b"x" * 10 * PROCFILE_BYTES)

    assert len(start_line(None, repository.path) or "") < PROCFILE_BYTES


def test_a_pod_that_begins_anew_does_not_clone_into_what_the_app_left(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit(says="hello")
    left, source, workspace = tmp_path / "left", tmp_path / "source", tmp_path / "workspace"
    for directory in (left, source, workspace):
        directory.mkdir()
    for name, text in {"url": str(repository.path), "username": "", "password": ""}.items():
        (source / name).write_text(text)
    (workspace / "code").symlink_to(left)

    check_out(commit, source, workspace / "code")

    assert (workspace / "code" / "says").read_text() == "hello"
    assert not (workspace / "code").is_symlink()
    assert list(left.iterdir()) == []


def test_a_kept_session_holds_only_the_sessions_own_files(tmp_path: Path, secret: Path) -> None:
    session = tmp_path / "session"
    session.mkdir()
    (session / "kept").write_text("kept")
    (session / "link").symlink_to(secret / "secret.key")
    (session / "place").symlink_to(secret)
    os.mkfifo(session / "pipe")
    packed = sessions.pack(session, driver="scripted", round_number=1, head_sha="a" * 40)

    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["manifest.json", "session/kept"]


def test_a_session_too_large_to_be_kept_is_refused_before_it_is_read(tmp_path: Path) -> None:
    session = tmp_path / "session"
    session.mkdir()
    with (session / "zeros").open("wb") as file:
        file.truncate(2**40)

    with pytest.raises(ProviderRefused, match="larger than 256 MiB"):
        sessions.pack(session, driver="scripted", round_number=1, head_sha="a" * 40)


def test_a_rollback_mark_full_of_references_is_not_written_out() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ValueError, match="oldest"):
        _parse("\n".join([*lines, "oldest: *a11"]).encode())
    with pytest.raises(ValueError, match="reason"):
        _parse("\n".join([*lines, "reason: *a11"]).encode())
