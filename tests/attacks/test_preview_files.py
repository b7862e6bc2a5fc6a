"""Files of the host that a repository names: by links in its pages, its Procfile, a kept session, a rollback mark."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.providers.runtime import ProcessRuntime
from common.values.delivery.app import App, ProjectNamespace
from tests.providers.runtime_contract import settled
from tests.providers.runtime_supervisor import Repository, Supervisor, get, supervised
from workers.checkouts.commits import start_line
from workers.checkouts.pod_start import check_out
from workers.runner.programs import sessions

APP = App(ProjectNamespace("shop-0000beef", "project-1"), "task-0000cafe")
SECRET = "the platform's secret key"


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
