"""Commands of repositories in their sandbox: a hostile one gets nothing, and its honest part still counts."""

from __future__ import annotations

import contextlib
import json
import shlex
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from common.machine.programs.bubblewrap import SandboxFinding
from common.values.delivery.app import App, AppPhase, ProjectNamespace
from common.values.egress import Egress, Network
from common.values.needs import Needs
from common.values.repository import Source
from common.values.testing.check import CheckPhase
from tests.providers.runtime_contract import (
    ChecksContract,
    MakeVersion,
    RuntimeContract,
    check_of,
    finished,
    settled,
    until,
)
from tests.providers.runtime_supervisor import Repository, Supervisor, get, supervised, wait_until_gone
from tests.providers.test_runtime_sources import ServedRepository

SPACE = ProjectNamespace("shop-0000beef", "project-1")
HOSTILE = """
import json, os, socket

def read(path): return open(path).read()
def connect(address): return socket.create_connection(tuple(address), 3)
def open_socket(name): return socket.socket(socket.AF_UNIX).connect(name)
def kill(pid):
    # Its number may be one of the sandbox's own processes: only one that is not ours counts.
    assert "workers.supervisor" in read(f"/proc/{pid}/cmdline")
    os.kill(pid, 9)

found = {"environ": dict(os.environ)}
for name, things in json.load(open("wanted.json")).items():
    for thing in things:
        try:
            found[f"{name} {thing}"] = str(globals()[name](thing))
        except (OSError, AssertionError):
            pass
for folder in filter(str.isdigit, os.listdir("/proc")):
    try:
        assert "workers.supervisor" not in read(f"/proc/{folder}/cmdline")
    except OSError:
        pass
print(json.dumps(found))
"""
PYTHON = shlex.quote(sys.executable)
RUN_HOSTILE = f"{PYTHON} -I hostile.py"
CANARY = "canary-7f3a"
DATABASE, STORE = "192.0.2.7", "192.0.2.8"
"""Of the platform, on other machines."""


@pytest.fixture(scope="module")
def supervisor(confining: SandboxFinding, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    environ = {
        "AIWORKER_SANDBOX": "required", "AIWORKER_SECRET_KEY": f"{CANARY}-in-the-environment",
        "AIWORKER_DATABASE_URL": f"mysql://aiworker:{CANARY}@{DATABASE}/aiworker",
        "AIWORKER_REDIS_URL": f"redis://:{CANARY}@{STORE}:6379/0",
    }  # fmt: skip
    with supervised(tmp_path_factory.mktemp("confined") / "runtime", **environ) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def space(supervisor: Supervisor) -> Iterator[ProjectNamespace]:
    yield SPACE
    supervisor.runtime.delete_environment(SPACE)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def wanted(supervisor: Supervisor, tmp_path: Path) -> Iterator[dict[str, list[object]]]:
    """What a hostile program looks for. All of it is there: the test's own process reaches it."""
    secret = tmp_path / "platform" / "secret.key"
    secret.parent.mkdir()
    secret.write_text(CANARY)
    with contextlib.ExitStack() as stack:
        local = stack.enter_context(_listening("127.0.0.1"))
        everywhere = stack.enter_context(_listening("0.0.0.0"))
        store, abstract = tmp_path / "redis.sock", f"\0{tmp_path}/redis.sock"
        for name in (str(store), abstract):
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.bind(name)
            one.listen()
        own = [one.address for each in psutil.net_if_addrs().values() for one in each if one.family == socket.AF_INET]
        guards = psutil.Process(supervisor.process.pid).children()
        yield {
            "read": [str(secret), f"/proc/1/root{secret}", str(supervisor.directory / "lock"), "/etc/shadow"],
            "open_socket": [str(store), abstract, str(supervisor.socket)],
            "connect": [["127.0.0.1", local], *([address, everywhere] for address in own), ["169.254.169.254", 80]],
            "kill": [supervisor.process.pid, *(guard.pid for guard in guards)],
        }


@contextlib.contextmanager
def _listening(host: str) -> Iterator[int]:
    with socket.create_server((host, 0)) as server:
        yield server.getsockname()[1]


def _reads_nothing(answer: str) -> bool:
    said = json.loads(answer)
    assert set(said) == {"environ"}
    assert CANARY not in answer
    assert not [name for name in said["environ"] if name.startswith("AIWORKER")]
    return True


class TestConfinedRuntime(RuntimeContract, ChecksContract):
    @pytest.fixture
    def runtime(self, supervisor: Supervisor) -> object:
        return supervisor.runtime

    @pytest.fixture
    def good(self, repository: Repository) -> MakeVersion:
        return lambda version_id: repository.web_app(version_id)

    @pytest.fixture
    def bad(self, repository: Repository) -> MakeVersion:
        return lambda version_id: repository.web_app(version_id, start_command="echo no such luck; exit 4")


def test_an_open_network_has_no_way_to_the_platforms_database_and_redis(
    outbound: SandboxFinding, supervisor: Supervisor, space: ProjectNamespace, repository: Repository
) -> None:
    version = repository.version("x", repository.commit(a="1"))
    check = replace(check_of(version, space, "c", "ip route"), network=Network(Egress.OPEN))
    supervisor.runtime.ensure_check(check)
    routes = finished(supervisor.runtime, check).log.splitlines()

    assert {f"unreachable {DATABASE}", f"unreachable {STORE}"} <= {" ".join(line.split()[:2]) for line in routes}


@pytest.mark.parametrize("egress", [Egress.NONE, Egress.OPEN])
def test_a_hostile_test_command_finds_nothing_and_its_honest_part_counts(
    supervisor: Supervisor,
    space: ProjectNamespace,
    repository: Repository,
    wanted: dict[str, list[object]],
    egress: Egress,
) -> None:
    neighbour = check_of(
        repository.version("x", repository.commit(a="1")), space, "neighbour", f"echo {CANARY} >canary; sleep 600"
    )
    supervisor.runtime.ensure_check(neighbour)
    (other,) = until(lambda: list(supervisor.directory.glob("checks/*/neighbour/code/canary")), what="the neighbour")
    wanted["read"].append(str(other))
    commit = repository.commit(hostile__py=HOSTILE, wanted__json=json.dumps(wanted))
    check = check_of(repository.version("x", commit), space, "hostile", f"{RUN_HOSTILE}; echo honest; exit 3")
    supervisor.runtime.ensure_check(replace(check, network=Network(egress)))
    state = finished(supervisor.runtime, check)
    answer, honest = [line for line in state.log.splitlines() if not line.startswith("[runtime]")]

    assert _reads_nothing(answer)
    assert (state.phase, state.exit_code, honest) == (CheckPhase.FAILED, 3, "honest")
    still = supervisor.runtime.read_check(space, "neighbour")
    assert still is not None
    assert still.phase is CheckPhase.RUNNING


def test_what_a_setup_leaves_in_its_home_leads_the_platform_nowhere(
    supervisor: Supervisor, space: ProjectNamespace, repository: Repository, tmp_path: Path
) -> None:
    """The platform is not confined: a link that it follows, or a pipe that it opens, is its own."""
    key, folder = tmp_path / "platform" / "secret.key", tmp_path / "platform" / "folder"
    folder.mkdir(parents=True)
    key.write_text(CANARY)
    setup = (
        f"mkdir -p ~/test-reports/python ~/measured-coverage && ln -s {key} ~/test-reports/began"
        f" && ln -s {key} ~/test-reports/python/sitecustomize.py && ln -s {key} ~/measured-coverage/settings.ini"
        f" && ln -s {folder} ~/measured-coverage/packages && mkfifo ~/measured-coverage/node_coverage.cjs"
        " && chmod 0 ~"
    )
    check = check_of(repository.version("x", repository.commit(a="1")), space, "links", "echo tested")
    check = replace(check, needs=Needs(setup_command=setup), network=Network(Egress.NONE), measures_coverage=True)
    supervisor.runtime.ensure_check(check)
    state = finished(supervisor.runtime, check)

    assert state.phase is CheckPhase.PASSED, state
    assert state.log.endswith("tested\n")
    assert key.read_text() == CANARY
    assert not list(folder.iterdir())


def test_a_check_without_network_reaches_the_forge_alone(
    supervisor: Supervisor, space: ProjectNamespace, repository: Repository
) -> None:
    commit = repository.commit(a="1")
    repository.serve_plainly()
    with ServedRepository(repository.path / ".git", "agent", "s3cret-pass") as url, _listening("127.0.0.1") as other:
        ask = f"{PYTHON} -I -c \"import urllib.request as r; r.urlopen('{{}}')\" 2>&1 | tail -1"
        commands = [ask.format(f"{url}/config"), ask.format(f"http://127.0.0.1:{other}/")]
        check = check_of(repository.version("x", commit), space, "c", "; ".join(commands))
        check = replace(check, source=Source(url, "agent", "s3cret-pass"), network=Network(Egress.NONE))
        supervisor.runtime.ensure_check(check)
        lines = finished(supervisor.runtime, check).log.splitlines()

    assert "HTTP Error 401" in lines[0]
    assert "Connection refused" in lines[1]


@pytest.mark.slow
@pytest.mark.usefixtures("confining")
def test_a_killed_supervisor_leaves_no_sandbox(tmp_path: Path, repository: Repository) -> None:
    app = App(SPACE, "task-1")
    with supervised(tmp_path / "runtime", AIWORKER_SANDBOX="required") as supervisor:
        url = supervisor.runtime.ensure_app(app, repository.web_app("v1")).url
        assert settled(supervisor.runtime, app, "v1").phase is AppPhase.LIVE
        for path in ("/child", "/daemon"):
            assert get(url, path)[0] == 200
        inside = [one.pid for one in psutil.Process(supervisor.process.pid).children(recursive=True)]
        supervisor.kill()
        wait_until_gone(*inside)
        supervisor.start_again()
        assert supervisor.stop() == 0

    assert not [path for path in (tmp_path / "runtime" / "sandboxes").rglob("*") if not path.is_dir()]
