"""What a project needs before its code runs, in pods that really run it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.providers.runtime import Runtime
from common.values.delivery.app import App, AppPhase, ProjectNamespace, Spec, Version
from common.values.needs import Needs
from common.values.repository import Source
from common.values.testing.check import Check, CheckPhase
from common.values.variable_set import Variables
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.node import ProcessNode
from tests.e2e.origin import served_repository
from tests.providers.git_work_tree import git
from tests.providers.runtime_cluster import runtime_on
from tests.providers.runtime_contract import finished, settled

pytestmark = pytest.mark.slow

SPACE = ProjectNamespace("shop-0000beef", "project-1")
APP = App(SPACE, "task-1")
SERVE = "exec python3 -m http.server --bind $HOST $PORT"


class TestCluster:
    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Iterator[Runtime]:
        with ClusterDouble(speed=20, node=ProcessNode()) as cluster, runtime_on(cluster, tmp_path) as running:
            yield running

    @pytest.fixture
    def origin(self, tmp_path: Path) -> Iterator[tuple[str, Source]]:
        """The head of a repository over HTTP, and its source."""
        with served_repository(tmp_path) as address:
            yield git("rev-parse", "HEAD", at=tmp_path / "origin"), Source(address)

    @pytest.fixture
    def a_check(self, runtime: Runtime, origin: tuple[str, Source]) -> Check:
        runtime.ensure_environment(SPACE)
        return Check(SPACE, "check-1", origin[0], "cat deps/mood", origin[1], timeout_seconds=60)

    @pytest.fixture
    def a_version(self, runtime: Runtime, origin: tuple[str, Source]) -> Version:
        runtime.ensure_environment(SPACE)
        return Version("v1", *origin, Spec(SERVE), start_seconds=30)

    def test_a_check_finds_what_its_setup_made(self, runtime: Runtime, a_check: Check) -> None:
        needs = Needs('mkdir deps && echo "$MOOD" >deps/mood && echo set up')
        check = replace(a_check, needs=needs, variables=Variables({"MOOD": "good"}))
        runtime.ensure_check(check)
        state = finished(runtime, check)

        assert state.phase is CheckPhase.PASSED, state
        assert [line for line in state.log.splitlines() if "[runtime]" not in line] == ["set up", "good"]

    def test_commands_reach_their_shell_as_they_are_written(
        self, runtime: Runtime, a_check: Check, a_version: Version
    ) -> None:
        """Kubernetes replaces `$(NAME)` and `$$` in the arguments of a container."""
        told = "[ $$ -gt 0 ] && echo '$(MOOD) $$(MOOD)'"
        check = replace(a_check, command=told, needs=Needs(told), variables=Variables({"MOOD": "good"}))
        runtime.ensure_check(check)
        state = finished(runtime, check)

        assert state.phase is CheckPhase.PASSED, state
        said = [line for line in state.log.splitlines() if "[runtime]" not in line]
        assert said == ["$(MOOD) $$(MOOD)"] * 2

        runtime.ensure_app(APP, replace(a_version, spec=replace(a_version.spec, start_command=f"{told} && {SERVE}")))
        assert settled(runtime, APP, "v1").phase is AppPhase.LIVE
        assert "$(MOOD) $$(MOOD)" in [line.text for line in runtime.app_logs(APP, "v1")]
