"""`aiworker doctor`: the checks of an installation, in order. They change nothing."""

from __future__ import annotations

import os
import platform
import queue
import secrets
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import redis
import requests

from common.errors import Misconfigured, ProviderRefused, ProviderUnavailable
from common.events import feed
from common.machine import disk
from common.machine.waiting import Deadline
from common.network.trust import describe_tls_failure
from common.providers.forge import forge
from common.providers.forge.gitea.server_examination import examine_gitea
from common.providers.runtime import runtime
from common.providers.runtime.cluster.examination import examine_cluster
from common.services.upkeep.database_examination import examine_database
from common.services.upkeep.schema import require_current
from common.settings import Settings, settings
from common.settings.environment import Environment
from common.settings.platform_address import read_platform_address
from common.settings.private_files import SHORTEST_KEY_BYTES
from common.values.finding import Finding
from web.doctor.advisory_files import examine_advisories
from web.doctor.certificates import examine_certificates
from web.doctor.driver_programs import examine_drivers
from web.doctor.flower import examine_flower
from web.doctor.picture_browser import examine_pictures
from web.doctor.project_hosts import examine_hosts
from web.doctor.redis_server import examine_redis
from web.doctor.sandbox import examine_sandbox
from web.doctor.secret_key import examine_key
from web.doctor.setting_names import examine_names
from web.health import backends
from web.launcher.prerequisites import check_apps_address, check_programs, is_up

OLDEST_PYTHON = (3, 11)
ANSWER_SECONDS = 3.0
PART_SECONDS = 20.0
"""The time limit of all checks of one part."""
READING_SECONDS = 300.0
"""That of reading all advisories: some hundred thousand files."""


def examine() -> Iterator[Finding]:
    """The findings, in the order in which problems should be fixed."""
    is_new = sys.version_info[:2] >= OLDEST_PYTHON
    yield Finding(
        "ok" if is_new else "fail", "python", platform.python_version() + ("" if is_new else "; 3.11 is needed")
    )
    yield _asked("programs", check_programs, "git and setpriv are there")
    try:
        data_dir = Environment(os.environ).folder("AIWORKER_DATA_DIR", default=".aiworker")
    except Misconfigured as error:
        yield Finding("fail", "data", str(error))
        return
    yield _data_dir(data_dir)
    yield from examine_names(os.environ)
    yield from examine_certificates(os.environ)
    try:
        has_key = read_platform_address().has_key
        if not has_key:
            _do_without_key()
        chosen = settings()
    except Misconfigured as error:
        yield Finding("fail", "settings", str(error))
        return
    yield Finding("ok", "settings", f"public address {chosen.web.public_url}")
    yield _disk(data_dir, chosen.store.disk_reserve_bytes)
    yield from _parts(chosen, has_key=has_key)


def _do_without_key() -> None:
    """Have the settings of this process make no secret key. The doctor opens nothing with this one."""
    os.environ["AIWORKER_SECRET_KEY"] = secrets.token_hex(SHORTEST_KEY_BYTES)


def _parts(chosen: Settings, *, has_key: bool) -> Iterator[Finding]:
    starts_with_up = "; it starts with: aiworker up"
    looks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("database", lambda: _database(chosen, has_key=has_key)),
        ("redis", lambda: _redis(chosen, starts_with_up)),
        ("forge", lambda: _forge(chosen)),
        ("runtime", lambda: _runtime(chosen)),
        ("advisories", lambda: examine_advisories(chosen.scans)),
        ("flower", lambda: examine_flower(chosen.store.data_dir)),
        # In a cluster the pods are the sandboxes.
        ("sandbox", lambda: iter(()) if chosen.runtime.kubernetes else examine_sandbox(chosen.sandbox)),
        ("pictures", lambda: examine_pictures(chosen)),
        # In a cluster the agents' image brings them.
        ("drivers", lambda: iter(()) if chosen.runtime.kubernetes else examine_drivers(chosen)),
        ("web", lambda: iter([_web(chosen, starts_with_up)])),
    )  # fmt: skip
    for part, look in looks:
        yield from run_within(READING_SECONDS if part == "advisories" else PART_SECONDS, part, look)


def run_within(seconds: float, part: str, examine_part: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of `examine_part` within the time limit.

    If it hangs, a last finding says so and its thread is abandoned.
    """
    found: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()

    def run() -> None:
        is_whole = False
        try:
            for finding in examine_part():
                found.put(finding)
            is_whole = True
        finally:
            if not is_whole:
                found.put(Finding("fail", part, "the doctor itself failed; report its output"))
            found.put(None)

    threading.Thread(target=run, name=f"doctor-{part}", daemon=True).start()
    deadline = Deadline(seconds)
    while True:
        try:
            finding = found.get(timeout=deadline.left_seconds)
        except queue.Empty:
            yield Finding(
                "fail", part, f"no answer within {seconds:g} s; check the network between this machine and it"
            )
            return
        if finding is None:
            return
        yield finding


def _database(chosen: Settings, *, has_key: bool) -> Iterator[Finding]:
    file = chosen.store.data_dir / "aiworker.db"
    # Before the first start the missing file is no fault, and connecting would create it.
    if chosen.store.database_path == file and not file.exists():
        yield Finding("warn", "database", "does not exist yet; the first start creates it: aiworker up")
        return
    schema = _asked("database", require_current, f"{backends(chosen)['mysql']}, its schema is this version's")
    yield schema
    if not chosen.store.is_sqlite:
        yield from examine_database()
    if schema.status == "ok":
        yield from examine_key(chosen, has_key=has_key)
        if chosen.runtime.kubernetes is not None:
            yield from examine_hosts(chosen.runtime.kubernetes)


def _redis(chosen: Settings, starts_with_up: str) -> Iterator[Finding]:
    is_ours = chosen.store.redis_embedded
    remedy = starts_with_up if is_ours else "; check AIWORKER_REDIS_URL"
    good, bad = f"{backends(chosen)['redis']} answers", "warn" if is_ours else "fail"
    answers = _asked("redis", lambda: _log_in_to_redis(chosen), good, remedy, bad)
    yield answers
    if answers.status == "ok":
        yield from examine_redis(is_ours=is_ours)


def _log_in_to_redis(chosen: Settings) -> None:
    try:
        feed.require_login()
    except redis.ConnectionError as error:
        if not isinstance(error.__context__, ssl.SSLError):
            raise
        raise Misconfigured(describe_tls_failure(error.__context__, chosen.store.redis_url)) from error


def _forge(chosen: Settings) -> Iterator[Finding]:
    if chosen.forge.kind == "gitea":
        yield from examine_gitea(chosen.forge)
    elif not chosen.store.data_dir.exists():
        # Asking it would create its folder.
        yield Finding("warn", "forge", "has no repositories yet; the first start makes their folder: aiworker up")
    else:
        yield _asked("forge", lambda: forge().ping(), f"{chosen.forge.kind} is ready")


def _runtime(chosen: Settings) -> Iterator[Finding]:
    if chosen.runtime.kubernetes is not None:
        yield from examine_cluster(chosen)
    else:
        yield _asked("runtime", lambda: _local_runtime(chosen), f"{chosen.runtime.kind} answers", "", "warn")


def _local_runtime(chosen: Settings) -> None:
    check_apps_address(chosen.runtime)
    runtime().ping()


def _asked(part: str, ask: Callable[[], object], good: str, remedy: str = "", bad: str = "fail") -> Finding:
    try:
        ask()
    except Misconfigured as error:
        return Finding("fail", part, str(error))
    except ProviderRefused as error:
        return Finding("fail", part, f"{error.message}{remedy}")
    except ProviderUnavailable as error:
        return Finding(bad, part, f"{error}{remedy}")
    except (redis.RedisError, requests.RequestException) as error:
        return Finding(bad, part, f"does not answer ({type(error).__name__}){remedy}")
    return Finding("ok", part, good)


def _web(chosen: Settings, starts_with_up: str) -> Finding:
    url, folder = chosen.web.internal_url, chosen.store.data_dir
    answers = _asked("web", lambda: _is_live(f"{url}/api/health/live"), f"answers at {url}", starts_with_up, "warn")
    # Only `aiworker up` starts the embedded Redis: without it, the platform of this folder is stopped.
    if answers.status == "ok" and chosen.store.redis_embedded and not is_up(folder):
        return Finding(
            "warn",
            "web",
            f"what answers at {url} is not the platform of {folder}, which is not started; to look at the one that "
            f"runs, set AIWORKER_DATA_DIR to its data directory; to start this one, too: aiworker up --port NUMBER",
        )
    return answers


def _is_live(url: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.get(url, timeout=ANSWER_SECONDS).raise_for_status()


def _data_dir(path: Path) -> Finding:
    # Not by the methods of a path: these raise where a folder above it may not be entered.
    if not os.path.exists(path):
        above = next(folder for folder in path.parents if os.path.exists(folder))
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            return Finding(
                "fail", "data", f"{path} can't be made in {above}; set AIWORKER_DATA_DIR to a writable directory"
            )
        return Finding("warn", "data", f"{path} does not exist yet; the first start creates it: aiworker up")
    if not path.is_dir() or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Finding("fail", "data", f"{path} can't be written; set AIWORKER_DATA_DIR to a writable directory")
    return Finding("ok", "data", str(path))


def _disk(path: Path, reserve_bytes: int | None) -> Finding:
    found = disk.measure_disk(path, reserve_bytes)
    says = f"{found.free_bytes / (1 << 30):.1f} GiB free at {found.where}"
    if not found.has_disk_space:
        needed = f"{found.reserve_bytes / (1 << 30):.1f} GiB (AIWORKER_DISK_RESERVE_BYTES)"
        return Finding("fail", "disk", f"{says}; no new work begins below {needed}; free some space")
    if found.state is disk.DiskState.OK:
        return Finding("ok", "disk", says)
    return Finding("warn", "disk", f"{says}; free some space soon")
