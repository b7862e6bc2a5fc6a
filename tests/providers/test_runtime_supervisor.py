"""The supervisor's own life: one per directory, what it remembers, and that it leaves nothing behind."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.runtime import ProcessRuntime
from common.values.delivery.app import App, AppPhase, ProjectNamespace
from tests.long_waits import LONG_WAIT_SECONDS
from tests.processes import command_words, is_running_process
from tests.providers.runtime_contract import check_of, finished, settled, until
from tests.providers.runtime_supervisor import Repository, Supervisor, get, supervised, wait_until_gone

SPACE = ProjectNamespace("shop-0000beef", "project-1")
APP = App(SPACE, "production")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with supervised(tmp_path / "runtime") as running:
        yield running


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


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
    survivors = [pid for pid in pids if is_running_process(pid)]
    assert survivors  # what an app starts in turn does not end with the supervisor by itself
    supervisor.start_again()

    assert not any(is_running_process(pid) for pid in pids)


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
def test_files_that_a_power_loss_emptied_count_as_absent(supervisor: Supervisor, repository: Repository) -> None:
    version = repository.web_app("v1")
    check = check_of(version, SPACE, "c", "echo hi")
    supervisor.runtime.ensure_app(APP, version)
    supervisor.runtime.ensure_check(check)
    finished(supervisor.runtime, check)
    supervisor.kill()
    (supervisor.directory / "apps" / SPACE.namespace / APP.name / "app.json").write_bytes(bytes(40))
    (supervisor.directory / "checks" / SPACE.namespace / "c.json").write_bytes(bytes(40))
    supervisor.start_again()

    assert supervisor.runtime.read_check(SPACE, "c") is None
    supervisor.runtime.ensure_check(check)
    assert finished(supervisor.runtime, check).log == "hi\n"
    supervisor.runtime.ensure_app(APP, version)
    assert settled(supervisor.runtime, APP, "v1").phase is AppPhase.LIVE


def test_without_a_supervisor_the_runtime_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="is `aiworker up` running"):
        ProcessRuntime(tmp_path / "missing.sock").ping()


def _guards(supervisor: Supervisor) -> list[psutil.Process]:
    """The guards that run; one that has been killed is none, also before its parent has noticed."""
    children = psutil.Process(supervisor.process.pid).children()
    return [one for one in children if "workers.supervisor.units.orphan_guard" in command_words(one)]


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
    assert all(is_running_process(pid) for pid in pids)
    return pids


@pytest.mark.slow
def test_its_directory_and_its_socket_are_its_own(supervisor: Supervisor) -> None:
    second = supervisor.spawn(stderr=subprocess.PIPE)
    _, said = second.communicate(timeout=LONG_WAIT_SECONDS)

    assert second.returncode == 1
    assert said == f"another supervisor already runs in {supervisor.directory}\n"
    assert supervisor.socket.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ProviderRefused) as refused:
        supervisor.runtime.read_app(App(ProjectNamespace("../up", "project-1"), "app"), "v1")
    assert refused.value.code == "invalid"
