"""Fixtures that every test may use: servers and databases.

What this machine lacks leaves tests out, with the reason; under REQUIRE_ALL=1 every test that is left out is a failure.
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest
from playwright.sync_api import Browser

from common.machine.programs.bubblewrap import SandboxFinding, find_sandbox
from tests import shared_statement_cache
from tests.databases import ReusedDatabase, create_schema, sqlite_url
from tests.e2e.browser import chromium
from tests.midnight import avoid_midnight
from tests.servers import MariaDB, NotInstalled, redis_server, run_folder, shared_mariadb
from tests.tls import TRUST_VARIABLES
from tests.unit_scheduling import UnitScheduling, rank

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("no clock", deadline=None)
hypothesis.settings.load_profile("no clock")

REQUIRE_ALL = os.environ.get("REQUIRE_ALL", "0") not in {"", "0"}

pytest_plugins = ["tests.cpu_report"]

QUICK_ON_BOTH_DATABASES = (
    "tests/common/",
    "tests/web/api/test_long_lists.py",
    "tests/web/test_query_plans.py",
    "tests/workers/execution/test_leases.py",
)
"""How the ids of tests begin that are about the database: they run on MariaDB in `make test`, too."""

_RUN_FOLDER = pytest.StashKey[Path]()
_RUN = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    shared_statement_cache.share_compiled_statements()
    worker_input = getattr(config, "workerinput", None)
    if worker_input is not None:
        config.stash[_RUN_FOLDER] = Path(worker_input["run_folder"])
    else:
        config.stash[_RUN] = ExitStack()
        config.stash[_RUN_FOLDER] = config.stash[_RUN].enter_context(run_folder())
    # What reads the settings outside of a test's own instance must not find this checkout's.
    os.environ["AIWORKER_DATA_DIR"] = str(config.stash[_RUN_FOLDER] / "nobodys")
    # Pictures of previews are taken where a test is about them: a browser takes a second for each.
    os.environ["AIWORKER_CHROMIUM"] = "off"
    # How full the disk of the machine is that runs the tests is not what they are about.
    os.environ["AIWORKER_DISK_RESERVE_BYTES"] = "0"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist which folder the run shares."""
    node.workerinput["run_folder"] = str(node.config.stash[_RUN_FOLDER])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> UnitScheduling | None:
    """What `--dist loadscope` means here."""
    return UnitScheduling(config, log) if config.option.dist == "loadscope" else None


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark tests on MariaDB as slow, but for those that are about the database itself."""
    parameters: dict[str, object] = item.callspec.params if hasattr(item, "callspec") else {}
    if "mariadb" in parameters.values() and not item.nodeid.startswith(QUICK_ON_BOTH_DATABASES):
        item.add_marker(pytest.mark.slow)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests, the longest come first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.nodeid))
    # What was made so far lives to the end: the garbage collector need not look at it again and again.
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _RUN in config.stash:
        config.stash[_RUN].close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was left out, and REQUIRE_ALL=1 asks for every test: {reason}"
    return report


def leave_out(reason: str) -> NoReturn:
    """Leave the present test out because this machine lacks something. A failure under REQUIRE_ALL=1."""
    pytest.skip(reason)


@pytest.fixture(scope="module", autouse=True)
def _environment_is_left_as_found() -> Iterator[None]:
    """A setting that a file's tests leave behind would change tests that happen to run after it in this process."""
    before = _settings_set()
    yield
    assert _settings_set() == before, "this file's tests leave settings behind in the environment"


def _settings_set() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("AIWORKER_")}


@pytest.fixture
def within_a_day() -> None:
    """For a test that counts what happens today (UTC)."""
    avoid_midnight()


@pytest.fixture
def no_named_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine whose environment names no file of certificates. Programs are told of such a file."""
    for name in TRUST_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def mariadb(request: pytest.FixtureRequest) -> MariaDB:
    """The run's one MariaDB; `new_database()` gives an empty database of the test's own."""
    try:
        return shared_mariadb(request.config.stash[_RUN_FOLDER])
    except NotInstalled as reason:
        leave_out(str(reason))


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of this test process alone, on a Unix socket. Tests that need it empty call `flushall` first."""
    with redis_server() as url:
        yield url


def need(*programs: str) -> None:
    """Leave the present test out where one of these programs is not installed."""
    for name in programs:
        if shutil.which(name) is None:
            leave_out(f"{name} is not installed (on Debian: apt-get install {name})")


@pytest.fixture(scope="session")
def whole_chromium_path() -> str:
    """Where the browser is that the product takes pictures with."""
    return _installed("chromium", "chromium-browser")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where the browser is that opens the page: where it is installed, Chromium without its own windows, menus and
    services, which opens a page for a quarter of the CPU.
    """
    return _installed("chromium-headless-shell", "chromium", "chromium-browser")


def _installed(*names: str) -> str:
    """The path of the first of these browsers that is there. Leaves the present test out where none is."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        leave_out("Chromium is not installed (on Debian: apt-get install chromium)")
    return found


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """Chromium with a new profile, for all tests of a file."""
    with chromium(chromium_path) as started:
        yield started


@pytest.fixture(scope="session")
def confining() -> SandboxFinding:
    """What this machine can do to confine commands. Leaves a test out where it can't."""
    finding = find_sandbox()
    if not finding.is_confining:
        leave_out(f"{finding.why_not}: {finding.remedy}")
    return finding


@pytest.fixture(scope="session")
def outbound(confining: SandboxFinding) -> SandboxFinding:
    """The same, where a confined command can have an open network of its own."""
    if not confining.has_outbound:
        leave_out(confining.why_no_outbound)
    return confining


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema: to be copied, not used."""
    path = tmp_path_factory.mktemp("schema") / "aiworker.db"
    create_schema(sqlite_url(path))
    return path


@pytest.fixture(scope="session")
def reused_mariadb(mariadb: MariaDB) -> ReusedDatabase:
    """This test process's MariaDB database with the schema: to be reset before each use."""
    url = mariadb.new_database()
    create_schema(url)
    return ReusedDatabase(mariadb, url)


@pytest.fixture
def sqlite_database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A SQLite database with the schema, this test's own."""
    return sqlite_url(Path(shutil.copy(sqlite_template, tmp_path / "aiworker.db")))


@pytest.fixture
def mariadb_database_url(reused_mariadb: ReusedDatabase) -> str:
    """A MariaDB database with the schema and nothing of an earlier test in it. Leave no transaction open there."""
    reused_mariadb.reset()
    return reused_mariadb.url


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The same test on both kinds of database: a URL with the schema and no rows of other tests."""
    url: str = request.getfixturevalue(f"{request.param}_database_url")
    return url
