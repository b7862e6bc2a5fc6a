"""What every runtime must do, whatever it is made of: a suite to inherit from.

A subclass gives four fixtures: `runtime`, `space`, and `good` and `bad`, which make from a version id a version that
will be live and one that will fail. Every verb is called twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from common.errors import ProviderRefused
from common.providers.runtime import Runtime
from common.values.delivery.app import App, AppPhase, AppState, ProjectNamespace, Spec, Version
from common.values.repository import Source
from common.values.testing.check import Check, CheckPhase, CheckState
from tests.long_waits import LONG_WAIT_SECONDS

T = TypeVar("T")
MakeVersion = Callable[[str], Version]


def until(look: Callable[[], T], *, what: str = "it") -> T:
    """The first true result of look; fails when there is none before the deadline."""
    deadline = time.monotonic() + LONG_WAIT_SECONDS
    while not (result := look()):
        assert time.monotonic() < deadline, f"{what} did not come true; last: {result!r}"
        time.sleep(0.03)
    return result


def settled(runtime: Runtime, app: App, version_id: str) -> AppState:
    """The version's state when it does not start any more."""

    def look() -> AppState | None:
        state = runtime.read_app(app, version_id)
        assert state is not None
        return None if state.phase is AppPhase.STARTING else state

    state = until(look, what=f"the end of the start of {version_id}")
    assert state is not None
    return state


def finished(runtime: Runtime, check: Check) -> CheckState:
    """The check's state when it does not run any more."""

    def look() -> CheckState | None:
        state = runtime.read_check(check.space, check.check_id)
        assert state is not None
        return None if state.phase in {CheckPhase.WAITING, CheckPhase.RUNNING} else state

    state = until(look, what=f"the end of {check.check_id}")
    assert state is not None
    return state


def check_of(version: Version, space: ProjectNamespace, check_id: str, command: str) -> Check:
    return Check(space, check_id, version.commit, command, version.source, timeout_seconds=600)


def version_of(
    version_id: str, commit: str, source: Source, *, start_seconds: float = 60, is_retried: bool = False, **spec: Any
) -> Version:
    """spec: fields of Spec."""
    return Version(version_id, commit, source, Spec(**spec), start_seconds, is_retried)


def with_spec(version: Version, **changes: Any) -> Version:
    return replace(version, spec=replace(version.spec, **changes))


class RuntimeContract:
    """What needs pods that become ready, and no more. Inherit and give the fixtures that the module names."""

    @pytest.fixture
    def app(self, space: ProjectNamespace) -> App:
        return App(space, "staging")

    def test_an_app_and_an_environment_are_made_and_deleted_twice(
        self, runtime: Runtime, app: App, good: MakeVersion
    ) -> None:
        runtime.ensure_environment(app.space)
        runtime.ensure_environment(app.space)
        runtime.ensure_app(app, good("v1"))
        assert runtime.list_apps() == [(app.space.namespace, "staging", "v1")]
        runtime.delete_app(app)
        runtime.delete_app(app)
        assert runtime.list_apps() == []
        runtime.ensure_app(app, good("v1"))
        runtime.delete_environment(app.space)
        runtime.delete_environment(app.space)

        runtime.ping()
        assert runtime.app_logs(app, "v1") == []
        assert runtime.list_apps() == []
        assert runtime.read_app(app, "v1") is None

    def test_a_good_version_becomes_live_and_a_newer_one_takes_over_at_the_same_url(
        self, runtime: Runtime, app: App, good: MakeVersion
    ) -> None:
        runtime.ensure_environment(app.space)
        first = runtime.ensure_app(app, good("v1"))
        again = runtime.ensure_app(app, good("v1"))
        state = settled(runtime, app, "v1")

        assert state.phase is AppPhase.LIVE
        assert state.live_version_id == "v1"
        assert state.reason is None
        assert state.code is None
        assert first.url == again.url == state.url
        assert runtime.ensure_app(app, good("v1")) == state

        runtime.ensure_app(app, good("v2"))
        newer = settled(runtime, app, "v2")
        assert (newer.phase, newer.live_version_id, newer.url) == (AppPhase.LIVE, "v2", first.url)

    def test_a_bad_version_fails_with_a_reason_and_the_old_one_stays_and_can_be_ensured(
        self, runtime: Runtime, app: App, good: MakeVersion, bad: MakeVersion
    ) -> None:
        runtime.ensure_environment(app.space)
        runtime.ensure_app(app, good("v1"))
        settled(runtime, app, "v1")
        runtime.ensure_app(app, bad("v2"))
        state = settled(runtime, app, "v2")
        again = runtime.ensure_app(app, bad("v2"))

        assert state.phase is again.phase is AppPhase.FAILED
        assert state.reason
        assert state.code
        assert state.live_version_id == "v1"
        runtime.ensure_app(app, good("v1"))
        assert settled(runtime, app, "v1").phase is AppPhase.LIVE
        assert runtime.list_apps() == [(app.space.namespace, "staging", "v1")]

    def test_a_memory_limit_must_be_a_quantity(self, runtime: Runtime, app: App, good: MakeVersion) -> None:
        with pytest.raises(ProviderRefused, match="much"):
            runtime.ensure_app(app, with_spec(good("v1"), memory_limit="much"))

    def test_a_check_ends_and_stays_ended(self, runtime: Runtime, space: ProjectNamespace, good: MakeVersion) -> None:
        check = replace(check_of(good("v1"), space, "check-1", "true"), settings="first")
        runtime.ensure_environment(space)
        runtime.ensure_check(check)
        state = finished(runtime, check)

        assert state == runtime.ensure_check(replace(check, settings="second"))
        assert (state.phase, state.exit_code, state.reason) == (CheckPhase.PASSED, 0, None)
        assert state.settings == "first"

    def test_a_deleted_check_is_gone(self, runtime: Runtime, space: ProjectNamespace, good: MakeVersion) -> None:
        check = check_of(good("v1"), space, "check-1", "sleep 600")
        runtime.ensure_environment(space)
        assert runtime.read_check(space, "check-1") is None
        assert runtime.ensure_check(check).phase is CheckPhase.RUNNING
        runtime.delete_check(space, "check-1")
        runtime.delete_check(space, "check-1")

        assert runtime.read_check(space, "check-1") is None


class ChecksContract:
    """The rest, for runtimes whose checks really run."""

    def test_a_failing_check_says_how_it_ended(
        self, runtime: Runtime, space: ProjectNamespace, good: MakeVersion
    ) -> None:
        check = check_of(good("v1"), space, "check-1", "echo broken >&2; exit 3")
        runtime.ensure_environment(space)
        runtime.ensure_check(check)
        state = finished(runtime, check)

        assert (state.phase, state.exit_code, state.reason) == (CheckPhase.FAILED, 3, "it exited with 3")
        assert "broken" in state.log
