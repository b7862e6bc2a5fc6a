"""A supervisor that may open no more files for a while."""

from __future__ import annotations

import resource
from pathlib import Path

from common.values.app import App, AppPhase, Space
from tests.providers.runtime_contract import settled, until
from tests.providers.runtime_supervisor import Repository, get_unless_cut, supervised

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
