"""Previews keep to a quota of their own, and give way, oldest first, to tests and environments that find no room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.models import Deployment, Task
from tests.workers.elsewhere import Elsewhere, elsewhere
from tests.workers.platform import Platform

TESTS = "true # the project's tests"


@pytest.fixture
def there(remote_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    """Once on SQLite and once on MariaDB. There is room for two previews of a project."""
    with elsewhere(remote_platform, monkeypatch, folder=tmp_path / "there", AIWORKER_KUBE_PREVIEWS_CPU="1") as made:
        yield made


@pytest.fixture
def plain(plain_remote_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    """Its clock is slow enough for what waits there to be seen."""
    with elsewhere(plain_remote_platform, monkeypatch, folder=tmp_path / "elsewhere", speed=20) as made:
        yield made


def _previews(there: Elsewhere) -> list[str]:
    """The titles of the tasks whose previews are live, oldest first."""
    live = there.all(Deployment, Deployment.live_key.is_not(None), Deployment.environment_ == "preview")
    return [there.get(Task, one.task_id).title for one in sorted(live, key=lambda one: (one.created_at, one.id))]


@pytest.mark.slow
def test_a_preview_more_than_fits_takes_the_place_of_the_oldest(there: Elsewhere) -> None:
    project = there.project()
    for name in ("a", "b"):
        there.ready(project, name, {name: "hello\n"})
    assert _previews(there) == ["a", "b"]
    there.ready(project, "c", {"c": "hello\n"})

    assert _previews(there) == ["b", "c"]
    assert len(there.cluster.names("deployments", project.namespace)) == 2
    (gone,) = there.all(Task, Task.title == "a")
    assert (gone.state, gone.preview_url) == ("ready_to_test", None)


@pytest.mark.slow
def test_previews_give_way_to_tests_that_find_no_room(plain: Elsewhere) -> None:
    project, other = plain.project(test_command=TESTS), plain.project()
    plain.ready(other, "oldest", {"a": "hello\n"})
    plain.ready(project, "older", {"b": "hello\n"})
    plain.ready(project, "newer", {"c": "hello\n"})
    plain.cluster.script(TESTS, "no_room", message="0/3 nodes are available: 3 Insufficient memory.")
    task = plain.task(project, "waits")
    claimed = plain.claim()
    plain.finish(claimed, plain.push(claimed, {"d": "hello\n"}))

    plain.run_jobs(until=lambda: _previews(plain) == ["older", "newer"])
    plain.run_jobs(until=lambda: _previews(plain) == ["newer"])
    plain.cluster.script(TESTS, "healthy")
    plain.run_jobs()
    assert plain.get(Task, task.id).state == "ready_to_test"
    assert "waits" in _previews(plain)
