"""Versions of many projects that fail together: the machine is at fault, and none of them is judged by it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from common.values.delivery.app import App, AppPhase, AppState, ProjectNamespace
from tests.providers.runtime_contract import settled, until
from tests.providers.runtime_supervisor import Repository, get, supervised
from workers.supervisor.units.overload import LEAST_PROJECTS, STARTS_AT_ONCE, Overload, StartPermit


def test_a_project_is_one_however_many_of_its_versions_fail() -> None:
    overload = Overload()
    for _ in range(LEAST_PROJECTS):
        overload.note("project-1")
    assert not overload.is_now
    for number in range(LEAST_PROJECTS):
        overload.note(f"project-{number}")
    assert overload.is_now


def test_starts_take_turns() -> None:
    async def starts() -> None:
        overload = Overload()
        turns = [await overload.start_permit() for _ in range(STARTS_AT_ONCE)]
        waiting = asyncio.create_task(overload.start_permit())
        await asyncio.sleep(0)
        assert not waiting.done()
        for _ in range(3):
            turns[0].end()  # one turn is given back once, however often it ends
        turns.append(await waiting)
        another = asyncio.create_task(overload.start_permit())
        await asyncio.sleep(0)
        assert not another.done()
        for start_permit in turns:
            start_permit.end()
        assert isinstance(await another, StartPermit)

    asyncio.run(starts())


@pytest.mark.slow
def test_versions_of_many_projects_that_fail_together_are_the_machines_matter(tmp_path: Path) -> None:
    wanted = Repository(tmp_path / "repository").web_app("v1")
    names = [ProjectNamespace(f"shop-{number}", f"project-{number}") for number in range(LEAST_PROJECTS)]
    apps = [App(name, "production") for name in names]
    # A restart has less time than usual, so that the test waits less for what stays bad.
    with supervised(tmp_path / "runtime", constants={"version.RECOVERY_SECONDS": 5}) as running:
        runtime = running.runtime
        urls = [runtime.ensure_app(app, wanted).url for app in apps]
        assert [settled(runtime, app, "v1").phase for app in apps] == [AppPhase.LIVE] * len(apps)
        for url in urls:
            get(url, "/turn-bad")

        def failed(app: App) -> AppState | None:
            state = runtime.read_app(app, "v1")
            return state if state is not None and state.phase is AppPhase.FAILED else None

        found = [until(lambda app=app: failed(app)) for app in apps]  # type: ignore[misc]

    assert [state and state.code for state in found] == ["machine"] * len(apps)
