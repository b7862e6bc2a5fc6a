"""The workspace against a real forge: bare repositories, by path and over HTTP with Basic credentials."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from common.errors import ProviderRefused, ProviderUnavailable
from common.values.runs.claimed_run import Clone
from tests.attacks.bombs import tree_bomb
from tests.workers.broken_git import broken_git
from tests.workers.runner.run_sandboxes import confinement
from tests.workers.runner.runner_platform import git, make_repository
from workers.runner.processes.cancellation import Cancellation
from workers.runner.processes.commands import run_command
from workers.runner.workspace.workspace import Workspace

__all__ = ["broken_git"]

PASSWORD = "s3cret-password"


class GitOverHttp(BaseHTTPRequestHandler):
    """git http-backend behind Basic authentication."""

    root: Path

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's own name)
        """Nothing is to be logged."""

    def do_GET(self) -> None:
        expected = "Basic " + base64.b64encode(f"run:{PASSWORD}".encode()).decode()
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="forge"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        environ = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "run",
            "CONTENT_TYPE": self.headers.get("Content-Type") or "", "CONTENT_LENGTH": str(len(content)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
        }  # fmt: skip
        reply = subprocess.run(["git", "http-backend"], env=environ, input=content, capture_output=True, check=True)
        head, _, body = reply.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "forge")


@pytest.fixture
def forge_url(repository: Path) -> Iterator[str]:
    class Bound(GitOverHttp):
        root = repository.parent

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/bare.git"
    server.shutdown()
    thread.join()
    server.server_close()


def a_workspace(directory: Path, url: str | Path, *, branch: str = "task-1", password: str = PASSWORD) -> Workspace:
    clone = Clone(str(url), branch, "main", "run", password)
    return Workspace(directory, clone, Cancellation(), confinement(directory))


def head(repository: Path) -> str:
    return git("rev-parse", "refs/heads/task-1", cwd=repository)


def test_a_clone_tracks_its_branch_and_a_push_moves_it(tmp_path: Path, repository: Path, forge_url: str) -> None:
    workspace = a_workspace(tmp_path / "run", forge_url)
    workspace.clone()
    assert git("rev-parse", "--abbrev-ref", "HEAD@{upstream}", cwd=workspace.path) == "origin/task-1"
    assert git("rev-parse", "origin/main", cwd=workspace.path) == head(repository)
    (workspace.path / "new.txt").write_text("new")

    commit = workspace.commit_all("Add new")

    assert commit == workspace.push() == workspace.head() == head(repository)
    assert workspace.push() == commit
    assert git("log", "-1", "--format=%an <%ae> %cn", "task-1", cwd=repository) == (
        "AI agent <agent@aiworker.invalid> AI agent"
    )


def test_a_configuration_written_by_the_agent_never_meets_the_credential(
    tmp_path: Path, repository: Path, forge_url: str
) -> None:
    workspace = a_workspace(tmp_path / "run", forge_url)
    workspace.clone()
    # In the run's home, which git in the clone sees, confined or not.
    spy, stolen = workspace.home / "spy", workspace.home / "stolen"
    spy.write_text(f"#!/bin/sh\nenv >> {stolen}\n")
    spy.chmod(0o755)
    for key in ("core.fsmonitor", "core.sshCommand", "core.askPass", "credential.helper", "filter.x.clean"):
        git("config", key, str(spy), cwd=workspace.path)
    git("config", "http.proxy", "http://127.0.0.1:9", cwd=workspace.path)
    git("config", f"url.{tmp_path}/elsewhere.insteadOf", forge_url, cwd=workspace.path)
    (workspace.path / ".gitattributes").write_text("*.txt filter=x\n")
    (workspace.path / "new.txt").write_text("new")

    commit = workspace.commit_all("Add new")
    workspace.push()

    assert head(repository) == commit
    assert stolen.exists(), "the filter ran, so this test sees what it would see"
    assert "GIT_CONFIG_VALUE" not in stolen.read_text()
    assert "Basic" not in stolen.read_text()


def test_hooks_never_run(tmp_path: Path, repository: Path) -> None:
    workspace = a_workspace(tmp_path / "run", repository)
    workspace.clone()
    for directory in (workspace.path / ".git" / "hooks", workspace.path / ".hooks"):
        directory.mkdir(exist_ok=True)
        for name in ("pre-commit", "commit-msg", "post-commit", "pre-push", "post-checkout", "post-merge"):
            (directory / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
            (directory / name).chmod(0o755)
    git("config", "core.hooksPath", ".hooks", cwd=workspace.path)

    assert workspace.commit_all("With hooks") == workspace.push()

    assert not (tmp_path / "ran").exists()


def test_commits_of_somebody_else_are_merged_in_once(tmp_path: Path, repository: Path) -> None:
    workspace = a_workspace(tmp_path / "run", repository)
    workspace.clone()
    other = a_workspace(tmp_path / "other", repository)
    other.clone()
    (other.path / "theirs.txt").write_text("theirs")
    theirs = other.commit_all("Theirs")
    other.push()
    (workspace.path / "ours.txt").write_text("ours")
    ours = workspace.commit_all("Ours")

    pushed = workspace.push()

    assert pushed == head(repository)
    assert git("log", "-1", "--format=%P", "task-1", cwd=repository).split() == [ours, theirs]


def test_a_wrong_password_or_branch_is_refused_and_an_absent_forge_is_unavailable(
    tmp_path: Path, forge_url: str
) -> None:
    with pytest.raises(ProviderRefused) as refused:
        a_workspace(tmp_path / "a", forge_url, password="wrong-password").clone()
    assert "wrong-password" not in str(refused.value)
    with pytest.raises(ProviderRefused, match="gone"):
        a_workspace(tmp_path / "b", forge_url, branch="gone").clone()
    with pytest.raises(ProviderUnavailable):
        a_workspace(tmp_path / "c", "http://127.0.0.1:9/bare.git").clone()


def test_the_credential_is_in_no_file_no_argument_and_no_commands_environment(
    tmp_path: Path, forge_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()
    spy = tmp_path / "bin" / "git"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/argv\nexec {real} "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy.parent}:{os.environ['PATH']}")
    workspace = a_workspace(tmp_path / "run", forge_url)
    workspace.clone()
    (workspace.path / "new.txt").write_text("new")
    workspace.commit_all("Add new")
    workspace.push()

    assert "push" in (tmp_path / "argv").read_text()
    lines: list[str] = []
    run_command(
        ["env"], cwd=workspace.path, environ=workspace.environ, command_sandbox=workspace.command_sandbox(),
        cancellation=Cancellation(), on_line=lines.append,
    )  # fmt: skip
    assert not any("GIT_CONFIG" in line or "AIWORKER" in line for line in lines)
    encoded = base64.b64encode(f"run:{PASSWORD}".encode()).decode()
    seen = [path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()]
    for text in (*seen, (tmp_path / "argv").read_bytes(), str(workspace.environ).encode(), repr(workspace).encode()):
        assert PASSWORD.encode() not in text
        assert encoded.encode() not in text


def test_a_branch_of_endless_files_is_refused_before_it_is_checked_out(tmp_path: Path, repository: Path) -> None:
    git("update-ref", "refs/heads/task-1", tree_bomb(repository, parent="task-1"), cwd=repository)
    with pytest.raises(ProviderRefused) as refused:
        a_workspace(tmp_path / "run", repository).clone()
    assert refused.value.code == "too_large"
