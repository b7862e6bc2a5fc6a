"""A supervisor that may open no more files for a while."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from common.values.app import MACHINE, App, AppPhase, AppState, Space
from tests.providers.runtime_contract import settled, until
from tests.providers.runtime_supervisor import Repository, get_unless_cut, supervised

pytestmark = pytest.mark.slow

APP = App(Space("shop-0000beef", "project-1"), "staging")


def test_a_live_version_is_supervised_on(tmp_path: Path) -> None:
    version = Repository(tmp_path / "repository").web_app("v1", memory_limit="300Mi")
    with supervised(tmp_path / "runtime") as supervisor:
        url = supervisor.runtime.ensure_app(APP, version).url
        assert settled(supervisor.runtime, APP, "v1").phase is AppPhase.LIVE
        [log] = supervisor.directory.glob("apps/*/*/logs/v1.log")
        pid = supervisor.process.pid
        usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        try:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, usual[1]))
            until(lambda: "restarting it" in log.read_text(), what="the end of its health")
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)

        until(lambda: get_unless_cut(url) == (200, "v1"), what="its next start")
        get_unless_cut(url, "/die")
        until(lambda: get_unless_cut(url) == (200, "v1"), what="its start after that")


def test_a_version_is_not_to_blame_if_there_is_no_room_to_check_it_out(tmp_path: Path) -> None:
    version = replace(Repository(tmp_path / "repository").web_app("v1", memory_limit="300Mi"), was_healthy=True)
    soon = {"failures.STARTS_ALLOWED": 1, "failures.STARTS_WITHIN_SECONDS": 0, "checkout.LAST_DELAY_SECONDS": 0.1}
    with supervised(tmp_path / "runtime", constants=soon) as supervisor:
        pid = supervisor.process.pid
        usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        # For a request, and for the app's port, folder and log; not for git.
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (psutil.Process(pid).num_fds() + 4, usual[1]))

        def failed() -> AppState | None:
            state = supervisor.runtime.read_app(APP, "v1")
            return state if state is not None and state.phase is AppPhase.FAILED else None

        try:
            supervisor.runtime.ensure_app(APP, version)
            found = until(failed)
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)

        assert found is not None
        assert (found.code, "Too many open files" in str(found.reason)) == (MACHINE, True)
        until(lambda: supervisor.runtime.ensure_app(APP, version).phase is AppPhase.LIVE, what="its next start")
