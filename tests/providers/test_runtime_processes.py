"""The local runtime against the contract, and how its apps behave to those who use them."""

from __future__ import annotations

import http.client
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from common.providers.runtime import ProcessRuntime
from common.values.delivery.app import App, AppPhase, AppState, Health, ProjectNamespace
from common.values.variable_set import Variables
from tests.long_waits import LONG_WAIT_SECONDS
from tests.processes import is_running_process
from tests.providers.runtime_contract import ChecksContract, MakeVersion, RuntimeContract, settled, until
from tests.providers.runtime_supervisor import (
    Repository,
    Supervisor,
    get,
    get_unless_cut,
    supervised,
    wait_until_gone,
)

pytestmark = pytest.mark.slow

SPACE = ProjectNamespace("shop-0000beef", "project-1")
APP = App(SPACE, "staging")


@pytest.fixture
def supervisor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Supervisor]:
    constants = getattr(request, "param", None)
    with supervised(tmp_path / "runtime", constants=constants, AIWORKER_SECRET_KEY="0123456789abcdef" * 2) as running:
        yield running


def patient(seconds: dict[str, float]) -> pytest.MarkDecorator:
    """For a test whose supervisor has these constants instead."""
    return pytest.mark.parametrize("supervisor", [seconds], indirect=True, ids=["patient"])


patient_at_switches = patient({"traffic.forward.IDLE_SECONDS": 60, "apps.DRAIN_SECONDS": 90})


@pytest.fixture
def runtime(supervisor: Supervisor) -> ProcessRuntime:
    return supervisor.runtime


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


class TestProcessRuntime(RuntimeContract, ChecksContract):
    @pytest.fixture
    def space(self) -> ProjectNamespace:
        return SPACE

    @pytest.fixture
    def good(self, repository: Repository) -> MakeVersion:
        return lambda version_id: repository.web_app(version_id)

    @pytest.fixture
    def bad(self, repository: Repository) -> MakeVersion:
        return lambda version_id: repository.web_app(version_id, start_command="echo no such luck; exit 4")


@patient_at_switches
def test_a_switch_is_seen_by_nobody(runtime: ProcessRuntime, repository: Repository) -> None:
    url = runtime.ensure_app(APP, repository.web_app("old")).url
    settled(runtime, APP, "old")
    seen: list[tuple[int, str]] = []
    is_over = threading.Event()

    def hammer() -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=LONG_WAIT_SECONDS)
        while not is_over.is_set():
            # One request over a connection of its own, one over the connection that is kept open.
            seen.append(get(url))
            connection.request("GET", "/")
            answer = connection.getresponse()
            seen.append((answer.status, answer.read().decode()))
        connection.close()

    client = threading.Thread(target=hammer)
    client.start()
    until(lambda: len(seen) > 20)
    runtime.ensure_app(APP, repository.web_app("new"))
    settled(runtime, APP, "new")
    until(lambda: [says for _, says in seen[-10:]].count("new") >= 5)
    is_over.set()
    client.join()

    assert {status for status, _ in seen} == {200}
    assert {says for _, says in seen} == {"old", "new"}
    own = [says for _, says in seen[::2]]
    assert own == sorted(own, reverse=True)  # old … old new … new


@patient_at_switches
def test_a_request_in_flight_ends_on_the_old_version(runtime: ProcessRuntime, repository: Repository) -> None:
    url = runtime.ensure_app(APP, repository.web_app("old")).url
    settled(runtime, APP, "old")
    old_pid = int(get(url, "/pid")[1])
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=LONG_WAIT_SECONDS)
    connection.request("GET", "/slow")
    runtime.ensure_app(APP, repository.web_app("new"))
    settled(runtime, APP, "new")
    answer = connection.getresponse()

    assert (answer.status, answer.read()) == (200, b"old")
    connection.close()
    assert get(url) == (200, "new")
    wait_until_gone(old_pid)


def test_a_candidate_that_turns_bad_while_it_is_watched_fails(runtime: ProcessRuntime, repository: Repository) -> None:
    runtime.ensure_app(
        APP, repository.web_app("bad", variables=Variables({"TURNS_BAD_AFTER": "1"}), health=Health(seconds=2))
    )
    state = settled(runtime, APP, "bad")

    assert (state.phase, state.code, state.live_version_id) == (AppPhase.FAILED, "unhealthy", None)
    assert state.reason is not None
    assert state.reason.endswith("it answered GET / with 500")


@patient({"traffic.forward.CONNECT_SECONDS": 60})
def test_a_killed_live_process_comes_back_at_the_same_url(runtime: ProcessRuntime, repository: Repository) -> None:
    url = runtime.ensure_app(APP, repository.web_app("v1")).url
    settled(runtime, APP, "v1")
    pid = int(get(url, "/pid")[1])
    psutil.Process(pid).send_signal(signal.SIGKILL)
    wait_until_gone(pid)

    # Not one request is refused meanwhile: the forwarder holds it until the process is back.
    assert get(url) == (200, "v1")
    state = runtime.read_app(APP, "v1")
    assert state is not None
    assert (state.phase, state.restarts) == (AppPhase.LIVE, 1)


@patient({"traffic.forward.CONNECT_SECONDS": 60, "failures.SPREAD_SECONDS": 60})
def test_a_version_that_keeps_dying_fails_and_the_older_one_can_be_ensured(
    runtime: ProcessRuntime, repository: Repository
) -> None:
    url = runtime.ensure_app(APP, repository.web_app("v1")).url
    settled(runtime, APP, "v1")
    for restarts in range(5):
        pid = int(get(url, "/pid")[1])
        psutil.Process(pid).kill()
        wait_until_gone(pid)
        until(lambda n=restarts: _restarts(runtime) > n or _state(runtime).phase is AppPhase.FAILED)  # type: ignore[misc]
    state = runtime.read_app(APP, "v1")

    assert state is not None
    assert (state.phase, state.code) == (AppPhase.FAILED, "keeps_dying")
    assert str(state.reason).startswith("it failed 5 times within 60 s")
    runtime.ensure_app(APP, repository.web_app("v0"))
    assert settled(runtime, APP, "v0").live_version_id == "v0"
    assert get(url) == (200, "v0")


def test_a_process_tree_over_its_memory_is_killed(runtime: ProcessRuntime, repository: Repository) -> None:
    url = runtime.ensure_app(APP, repository.web_app("v1", memory_limit="100Mi")).url
    settled(runtime, APP, "v1")
    pid = int(get(url, "/pid")[1])
    get_unless_cut(url, "/eat")

    wait_until_gone(pid)
    until(lambda: any("its limit is 100 MiB" in line.text for line in runtime.app_logs(APP, "v1")))


def test_stopping_an_app_ends_also_what_it_started(runtime: ProcessRuntime, repository: Repository) -> None:
    url = runtime.ensure_app(APP, repository.web_app("v1")).url
    settled(runtime, APP, "v1")
    pids = [int(get(url, path)[1]) for path in ("/pid", "/child", "/daemon")]
    assert all(is_running_process(pid) for pid in pids)
    runtime.delete_app(APP)

    assert not any(is_running_process(pid) for pid in pids)


def test_an_apps_environment_holds_its_variables_and_none_of_the_supervisors(
    runtime: ProcessRuntime, repository: Repository
) -> None:
    url = runtime.ensure_app(APP, repository.web_app("v1", variables=Variables({"COLOUR": "blue", "PORT": "1"}))).url
    settled(runtime, APP, "v1")
    env = json.loads(get(url, "/env")[1])

    assert env["COLOUR"] == "blue"
    assert env["HOST"] == "127.0.0.1"
    assert int(env["PORT"]) not in (1, urlsplit(url).port)
    assert set(env) - {"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"} == {
        *("PATH", "HOME", "LANG", "COLOUR", "PORT", "HOST", "RUNTIME_UNIT"),
    }


def _state(runtime: ProcessRuntime) -> AppState:
    state = runtime.read_app(APP, "v1")
    assert state is not None
    return state


def _restarts(runtime: ProcessRuntime) -> int:
    return _state(runtime).restarts
