"""Versions of many projects that fail together: the machine is at fault, and none of them is judged by it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.providers.runtime import ProcessRuntime
from common.values.delivery.app import App, AppPhase, AppState, ProjectNamespace
from tests.providers.runtime_contract import settled, until
from tests.providers.runtime_supervisor import Repository, get, supervised
from workers.supervisor.units.overload import LEAST_PROJECTS, STARTS_AT_ONCE, Overload, StartPermit


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ProcessRuntime]:
    # A restart has less time than usual, so that the tests wait less for what stays bad.
    with supervised(tmp_path / "runtime", constants={"version.RECOVERY_SECONDS": 5}) as running:
        yield running.runtime


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def failures(runtime: ProcessRuntime, repository: Repository, projects: int) -> list[AppState]:
    """How live versions of so many projects end that all turn bad at the same moment and stay so."""
    wanted = repository.web_app("v1")
    apps = [App(ProjectNamespace(f"shop-{number}", f"project-{number}"), "production") for number in range(projects)]
    urls = [runtime.ensure_app(app, wanted).url for app in apps]
    assert [settled(runtime, app, "v1").phase for app in apps] == [AppPhase.LIVE] * projects
    for url in urls:
        get(url, "/turn-bad")

    def failed(app: App) -> AppState | None:
        state = runtime.read_app(app, "v1")
        assert state is not None
        return state if state.phase is AppPhase.FAILED else None

    found = [until(lambda app=app: failed(app)) for app in apps]  # type: ignore[misc]
    return [state for state in found if state is not None]


@pytest.mark.slow
def test_versions_of_many_projects_that_fail_together_are_the_machines_matter(
    runtime: ProcessRuntime, repository: Repository
) -> None:
    found = failures(runtime, repository, LEAST_PROJECTS)

    assert [state.code for state in found] == ["machine"] * LEAST_PROJECTS
    assert all("fail together, so this machine is at fault" in str(state.reason) for state in found)


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
        turns = [await overload.turn() for _ in range(STARTS_AT_ONCE)]
        waiting = asyncio.create_task(overload.turn())
        await asyncio.sleep(0)
        assert not waiting.done()
        for _ in range(3):
            turns[0].end()  # one turn is given back once, however often it ends
        turns.append(await waiting)
        another = asyncio.create_task(overload.turn())
        await asyncio.sleep(0)
        assert not another.done()
        for turn in turns:
            turn.end()
        assert isinstance(await another, StartPermit)

    asyncio.run(starts())
