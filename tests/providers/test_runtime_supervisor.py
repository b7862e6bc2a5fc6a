"""The supervisor's own life: one per directory, what it remembers, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from common.errors import ProviderRefused, ProviderUnavailable
from common.machine.ports import PortRange
from common.providers.runtime import ProcessRuntime, runtime
from common.settings import settings
from common.values.app import App, AppPhase, Space
from common.values.check import CheckEnd, CheckPhase, CheckState
from tests.deep_folders import deep_folders
from tests.patience import PATIENCE_SECONDS
from tests.ports import APP_PORTS, free_port
from tests.processes import lives, words
from tests.providers.runtime_contract import check_of, finished, settled, until
from tests.providers.runtime_supervisor import ROOT, Repository, Supervisor, get, supervised, wait_until_gone
from workers.needs.databases import root_of

SPACE = Space("shop-0000beef", "project-1")
APP = App(SPACE, "production")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with supervised(tmp_path / "runtime") as running:
        yield running


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def _settings_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AIWORKER_DATA_DIR", str(tmp_path / "elsewhere"))
    yield
    runtime.cache_clear()
    settings.cache_clear()


@pytest.mark.slow
def test_a_second_supervisor_in_the_same_directory_is_refused(supervisor: Supervisor) -> None:
    second = supervisor.spawn(stderr=subprocess.PIPE)
    _, said = second.communicate(timeout=PATIENCE_SECONDS)

    assert second.returncode == 1
    assert said == f"another supervisor already runs in {supervisor.directory}\n"
    supervisor.runtime.ping()


@pytest.mark.slow
def test_it_logs_lines_of_json(supervisor: Supervisor) -> None:
    supervisor.stop()
    supervisor.process = supervisor.spawn(stderr=subprocess.PIPE)
    assert supervisor.process.stderr is not None

    with supervisor.process.stderr as said:
        line = json.loads(said.readline())
        supervisor.stop()

    assert (line["level"], line["event"]) == ("info", f"the local runtime answers on {supervisor.socket}")


@pytest.mark.slow
def test_a_wrong_log_level_ends_it_with_one_line(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor.stop()
    monkeypatch.setenv("AIWORKER_LOG_LEVEL", "LOUD")
    _, said = supervisor.spawn(stderr=subprocess.PIPE).communicate(timeout=PATIENCE_SECONDS)

    assert said == "AIWORKER_LOG_LEVEL=LOUD is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL\n"


@pytest.mark.slow
def test_it_may_have_as_many_connections_as_the_machine_lets_it(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 512), hard))
    try:
        with supervised(tmp_path / "runtime") as running:
            assert resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE) == (min(hard, 65_536), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_an_app_has_a_bounded_number_of_connections(repository: Repository, tmp_path: Path) -> None:
    """All apps and checks of a machine share the supervisor's descriptors."""
    with supervised(tmp_path / "runtime", constants={"forward.MOST_CONNECTIONS": 2}) as running:
        url = running.runtime.ensure_app(APP, repository.web_app("v1")).url
        settled(running.runtime, APP, "v1")
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(socket.create_connection(("127.0.0.1", urlsplit(url).port)))
            status, page = get(url)
            assert (status, "too many connections" in page) == (503, True)

        until(lambda: get(url) == (200, "v1"), what="room for another visitor")


@pytest.mark.slow
def test_a_restart_keeps_the_port_and_the_version_passes_its_gate_anew(
    supervisor: Supervisor, repository: Repository
) -> None:
    version = repository.web_app("v1")
    url = supervisor.runtime.ensure_app(APP, version).url
    settled(supervisor.runtime, APP, "v1")
    assert supervisor.stop() == 0
    supervisor.start_again()

    assert supervisor.runtime.read_app(APP, "v1") is None
    assert supervisor.runtime.list_apps() == [(SPACE.namespace, "production", None)]
    assert get(url)[0] == 503
    assert supervisor.runtime.ensure_app(APP, version).url == url
    assert settled(supervisor.runtime, APP, "v1").phase is AppPhase.LIVE
    assert get(url) == (200, "v1")


@pytest.mark.slow
def test_what_a_killed_git_left_locked_stops_nobody(supervisor: Supervisor, repository: Repository) -> None:
    supervisor.runtime.ensure_app(APP, repository.web_app("v1"))
    assert settled(supervisor.runtime, APP, "v1").phase is AppPhase.LIVE
    supervisor.kill()
    (mirror,) = (supervisor.directory / "mirrors").glob("*.git")
    for name in ("config.lock", "packed-refs.lock", "refs/heads/main.lock"):
        (mirror / name).touch()
    unfinished = mirror / "objects/pack/tmp_pack_a1b2c3"
    unfinished.write_bytes(b"PACK")
    supervisor.start_again()

    supervisor.runtime.ensure_app(APP, repository.web_app("v2"))
    state = settled(supervisor.runtime, APP, "v2")
    assert state.phase is AppPhase.LIVE, state.reason
    assert not unfinished.exists()


@pytest.mark.slow
def test_a_remembered_port_that_another_program_took_is_replaced(
    supervisor: Supervisor, repository: Repository
) -> None:
    version = repository.web_app("v1")
    url = supervisor.runtime.ensure_app(APP, version).url
    supervisor.stop()
    port = urlsplit(url).port
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    foreigner = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: any(one.laddr[1] == port for one in psutil.Process(foreigner.pid).net_connections()))
        supervisor.start_again()
        other_url = supervisor.runtime.ensure_app(APP, version).url
        state = settled(supervisor.runtime, APP, "v1")
        assert state.phase is AppPhase.LIVE, state.reason

        assert other_url != url
        assert get(other_url) == (200, "v1")
    finally:
        foreigner.kill()
        foreigner.wait()


@pytest.mark.slow
def test_apps_get_ports_of_the_range_and_keep_what_they_have(supervisor: Supervisor, repository: Repository) -> None:
    first, other = PortRange(APP_PORTS.first, APP_PORTS.last - 100), PortRange(APP_PORTS.last - 99, APP_PORTS.last)
    supervisor.stop()
    supervisor.ports = first
    supervisor.start_again()
    kept = supervisor.runtime.ensure_app(APP, repository.web_app("v1")).url
    supervisor.stop()
    supervisor.ports = other
    supervisor.start_again()

    new = supervisor.runtime.ensure_app(App(SPACE, "staging"), repository.web_app("v2")).url

    assert first.first <= (urlsplit(kept).port or 0) <= first.last
    assert other.first <= (urlsplit(new).port or 0) <= other.last
    assert supervisor.runtime.ensure_app(APP, repository.web_app("v1")).url == kept


@pytest.mark.slow
def test_a_stopped_supervisor_leaves_nothing_running(supervisor: Supervisor, repository: Repository) -> None:
    pids = _family(supervisor, repository)
    assert supervisor.stop() == 0

    assert not any(lives(pid) for pid in pids)


@pytest.mark.slow
def test_a_killed_supervisor_leaves_nothing_running(supervisor: Supervisor, repository: Repository) -> None:
    pids = _family(supervisor, repository)
    supervisor.kill()

    wait_until_gone(*pids)


@pytest.mark.slow
def test_what_outlived_supervisor_and_guard_is_killed_at_the_next_start(
    supervisor: Supervisor, repository: Repository
) -> None:
    pids = _family(supervisor, repository)
    # A guard that is killed is replaced at once: both have to go in the same moment.
    psutil.Process(supervisor.process.pid).suspend()
    (guard,) = _guards(supervisor)
    guard.kill()
    supervisor.kill()
    survivors = [pid for pid in pids if lives(pid)]
    assert survivors  # what an app starts in turn does not end with the supervisor by itself
    supervisor.start_again()

    assert not any(lives(pid) for pid in pids)


@pytest.mark.slow
def test_a_guard_that_is_killed_is_replaced(supervisor: Supervisor, repository: Repository) -> None:
    pids = _family(supervisor, repository)
    for _ in range(2):
        (guard,) = _guards(supervisor)
        guard.kill()
        until(lambda gone=guard.pid: [one.pid for one in _guards(supervisor)] not in ([], [gone]))  # type: ignore[misc]
    supervisor.kill()

    wait_until_gone(*pids)


@pytest.mark.slow
def test_a_stopped_supervisor_leaves_no_guard(supervisor: Supervisor) -> None:
    (guard,) = _guards(supervisor)
    supervisor.stop()

    assert not lives(guard.pid)


@pytest.mark.slow
def test_a_finished_check_is_known_after_a_restart_and_a_lost_one_is_not(
    supervisor: Supervisor, repository: Repository, tmp_path: Path
) -> None:
    version = repository.version("x", repository.commit(a="1"))
    done, lost = (check_of(version, SPACE, name, command) for name, command in [("a", "echo hi"), ("b", "sleep 600")])
    supervisor.runtime.ensure_check(done)
    supervisor.runtime.ensure_check(lost)
    state = finished(supervisor.runtime, done)
    supervisor.kill()
    supervisor.start_again()

    assert supervisor.runtime.read_check(SPACE, "a") == state
    assert supervisor.runtime.read_check(SPACE, "b") is None
    assert [path.name for path in (supervisor.directory / "checks" / SPACE.namespace).iterdir()] == ["a.json"]


@pytest.mark.slow
def test_a_directory_that_an_older_supervisor_left_is_taken_over(repository: Repository, tmp_path: Path) -> None:
    directory, port = tmp_path / "older", free_port()
    app, checks = directory / "apps" / SPACE.namespace / "production", directory / "checks" / SPACE.namespace
    for folder in (app, checks):
        folder.mkdir(parents=True)
    (app / "app.json").write_text(json.dumps({"port": port, "project_id": SPACE.project_id}))
    killed = {"phase": "failed", "exit_code": None, "log": "said", "reason": "it was killed by SIGKILL"}
    (checks / "old.json").write_text(json.dumps(killed))

    with supervised(directory) as supervisor:
        assert supervisor.runtime.list_apps() == [(SPACE.namespace, "production", None)]
        state = supervisor.runtime.ensure_app(APP, repository.web_app("v1"))
        kept = supervisor.runtime.read_check(SPACE, "old")
    assert urlsplit(state.url).port == port
    assert kept == CheckState(CheckPhase.FAILED, None, "said", "it was killed by SIGKILL", CheckEnd.KILLED)


@pytest.mark.slow
def test_deep_folders_of_a_killed_supervisor_are_removed_at_the_next_start(
    supervisor: Supervisor, repository: Repository
) -> None:
    url = supervisor.runtime.ensure_app(APP, repository.web_app("v1")).url
    settled(supervisor.runtime, APP, "v1")
    supervisor.kill()
    versions = supervisor.directory / "apps" / SPACE.namespace / APP.name / "versions"
    check = supervisor.directory / "checks" / SPACE.namespace / "c"
    databases = root_of(supervisor.directory) / "0123456789ab" / "postgres" / "deep"
    with deep_folders(versions / "v1" / "code" / "deep"), deep_folders(check), deep_folders(databases):
        supervisor.start_again()

        assert [place for place in (versions, check, root_of(supervisor.directory)) if place.exists()] == []
    assert supervisor.runtime.ensure_app(APP, repository.web_app("v2")).url == url


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", bytes(40), b'{"port": 1'], ids=["empty", "zeros", "cut off"])
def test_files_that_a_power_loss_emptied_count_as_absent(
    supervisor: Supervisor, repository: Repository, content: bytes
) -> None:
    version = repository.web_app("v1")
    check = check_of(version, SPACE, "c", "echo hi")
    supervisor.runtime.ensure_app(APP, version)
    supervisor.runtime.ensure_check(check)
    finished(supervisor.runtime, check)
    supervisor.kill()
    (supervisor.directory / "apps" / SPACE.namespace / APP.name / "app.json").write_bytes(content)
    (supervisor.directory / "checks" / SPACE.namespace / "c.json").write_bytes(content)
    supervisor.start_again()

    assert supervisor.runtime.read_check(SPACE, "c") is None
    supervisor.runtime.ensure_check(check)
    assert finished(supervisor.runtime, check).log == "hi\n"
    supervisor.runtime.ensure_app(APP, version)
    assert settled(supervisor.runtime, APP, "v1").phase is AppPhase.LIVE


@pytest.mark.slow
def test_a_version_whose_start_a_bug_ends_has_failed(repository: Repository, tmp_path: Path) -> None:
    # A TypeError that nothing expects: the output of git is to be read in pieces of half a byte.
    with supervised(tmp_path / "runtime", constants={"checkout.MOST_ERROR_BYTES": 0.5}) as supervisor:
        supervisor.runtime.ensure_app(APP, repository.web_app("v1"))
        state = settled(supervisor.runtime, APP, "v1")

    assert (state.phase, state.code) == (AppPhase.FAILED, "not_started")
    assert state.reason == "the local runtime has an error (TypeError); its log says more"


@pytest.mark.slow
def test_a_request_in_another_language_is_refused(supervisor: Supervisor) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(supervisor.socket))
        connection.sendall(b'{"v": 1, "verb": "ping", "args": {}}\n')
        reply = json.loads(connection.recv(4096))
    assert reply["error"]["message"] == "this supervisor speaks version 2; stop and start all of AiWorker"


@pytest.mark.slow
def test_nobody_else_may_open_the_socket(supervisor: Supervisor) -> None:
    assert supervisor.socket.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
@pytest.mark.parametrize(("namespace", "name"), [("../up", "app"), ("shop", "a/b"), ("shop", "..")])
def test_a_name_that_is_a_path_is_refused(supervisor: Supervisor, namespace: str, name: str) -> None:
    with pytest.raises(ProviderRefused) as refused:
        supervisor.runtime.read_app(App(Space(namespace, "project-1"), name), "v1")
    assert refused.value.code == "invalid"


def test_without_a_supervisor_the_runtime_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="is `aiworker up` running"):
        ProcessRuntime(tmp_path / "missing.sock").ping()


@pytest.mark.usefixtures("_settings_of")
def test_the_settings_choose_the_runtime() -> None:
    settings.cache_clear()
    runtime.cache_clear()

    with pytest.raises(ProviderUnavailable, match=r"elsewhere/supervisor\.sock"):
        runtime().ping()


@pytest.mark.slow
@pytest.mark.usefixtures("_settings_of")
def test_the_supervisor_imports_none_of_the_platforms_weight() -> None:
    program = "import sys, workers.supervisor.__main__; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, env=os.environ)
    roots = {name.split(".")[0] for name in done.stdout.split()}
    inside = {name for name in done.stdout.split() if name.startswith("common.")}

    assert not roots & {"flask", "sqlalchemy", "celery", "redis", "kubernetes", "requests", "gevent"}
    assert not inside & {"common.models", "common.services", "common.broker", "common.database", "common.providers"}


def _guards(supervisor: Supervisor) -> list[psutil.Process]:
    """The guards that run; one that has been killed is none, also before its parent has noticed."""
    children = psutil.Process(supervisor.process.pid).children()
    return [one for one in children if "workers.supervisor.guard" in words(one)]


def _family(supervisor: Supervisor, repository: Repository) -> list[int]:
    """The pids of an app's process, of its child, of its daemon and of a running check's background process."""
    url = supervisor.runtime.ensure_app(APP, repository.web_app("v1")).url
    settled(supervisor.runtime, APP, "v1")
    pids = [int(get(url, path)[1]) for path in ("/pid", "/child", "/daemon")]
    version = repository.version("x", repository.commit(a="1"))
    supervisor.runtime.ensure_check(check_of(version, SPACE, "c", "sleep 600 & echo $!; wait"))

    def check_pid() -> int:
        state = supervisor.runtime.read_check(SPACE, "c")
        assert state is not None
        return int(state.log or 0)

    pids.append(until(check_pid))
    assert all(lives(pid) for pid in pids)
    return pids
