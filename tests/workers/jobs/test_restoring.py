"""The job that keeps the runtime as it should be, while people and other jobs change what that is."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from common.jobs import RESTORE_RUNTIME, Lease
from common.models import Deployment, EventRow, Task, TaskGroup
from common.providers.forge import forge
from common.providers.runtime import runtime
from common.services.delivery import restoring, task_groups
from common.services.delivery.restoring import RestorePlan
from common.services.projects.places import app_of, place_of
from common.values.app import App
from tests.e2e.instance import wait_until
from tests.providers.runtime_supervisor import RUN_WEB_APP, WEB_APP, get
from tests.workers.elsewhere import Elsewhere
from tests.workers.platform import Platform
from workers import registry

pytestmark = pytest.mark.slow


def test_a_version_that_went_live_since_the_job_began_is_not_replaced(
    plain: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plain.project()
    plain.to_production(plain.staged(plain.approved(project, "One", {"one": "1\n"})))
    (old,) = plain.all(Deployment, Deployment.live_key == f"{project.id}:production")
    group = plain.staged(plain.approved(project, "Two", {"two": "2\n"}))
    app, real = app_of(place_of(project), "production"), restoring.begin_restore

    def slow(lease: Lease, running: set[tuple[str, str]]) -> RestorePlan:
        plan = real(lease, running)
        head = forge().read_head(plain.repository(project.id), "main")
        task_groups.deploy_to_production(group.id, default_head=head, by=plain.max)
        plain.run_jobs(until=lambda: plain.get(TaskGroup, group.id).state == "production")
        wait_until("the old version to be gone", lambda: runtime().read_app(app, old.id) is None)
        return plan

    plain.restore()
    monkeypatch.setattr(restoring, "begin_restore", slow)
    _restore_once(plain)

    (live,) = plain.all(Deployment, Deployment.live_key == f"{project.id}:production")
    assert live.id != old.id
    assert [version for _namespace, name, version in runtime().list_apps() if name == "production"] == [live.id]


def _code_of(app: App, version_id: str) -> str | None:
    state = runtime().read_app(app, version_id)
    return None if state is None else state.code


def _restore_once(platform: Elsewhere) -> None:
    (job,) = (job for job in platform.due() if job.kind == RESTORE_RUNTIME.name)
    registry.registered[job.kind](job.id)


@pytest.mark.parametrize("part", ["start", "setup"])
def test_what_a_version_needs_may_come_after_it_when_the_machine_starts(
    platform: Platform, tmp_path: Path, part: str
) -> None:
    needed = tmp_path / "needed"
    needed.touch()
    waits = 'test -e "$NEEDED" || exit 1'
    commands = {"start_command": f"{waits}; {RUN_WEB_APP}"}
    if part == "setup":
        commands = {"start_command": RUN_WEB_APP, "setup_command": waits}
    project = platform.project({"app.py": WEB_APP, "says": "1\n"}, env_vars={"NEEDED": str(needed)}, **commands)
    for says in ("2\n", "3\n"):
        platform.to_production(platform.staged(platform.approved(project, f"Says {says}", {"says": says})))
    platform.ready(project, "Shown", {"says": "4\n"})
    environments = Deployment.live_key.is_not(None)
    before = {row.id: row for row in platform.all(Deployment, environments)}
    platform.supervisor.stop()
    needed.unlink()
    platform.supervisor.start_again()

    def have_failed_once() -> bool:
        platform.restore()
        platform.run_jobs()
        apps = [(app_of(place_of(project), row.app_name), row.id) for row in before.values()]
        return all("starting it again" in str(runtime().app_logs(app, version)) for app, version in apps)

    wait_until("the first start of each to fail", have_failed_once)
    needed.touch()

    def serve() -> bool:
        platform.restore()
        platform.run_jobs()
        return all(get(row.url)[0] == 200 for row in before.values())

    wait_until("each to serve again", serve)
    after = platform.all(Deployment, environments)
    assert {row.id: (row.state, row.error) for row in after} == dict.fromkeys(before, ("completed", None))
    assert sorted(get(row.url)[1] for row in after) == ["3\n", "3\n", "4\n"]


def test_an_app_that_had_to_take_another_port_is_shown_at_its_new_address(platform: Platform) -> None:
    project = platform.project({"app.py": WEB_APP, "says": "1\n"}, start_command=RUN_WEB_APP)
    platform.to_production(platform.staged(platform.approved(project, "Two", {"says": "2\n"})))
    shown = platform.ready(project, "Three", {"says": "3\n"})
    is_old = Deployment.live_key.is_not(None)
    before = {row.id: str(row.url) for row in platform.all(Deployment, is_old)}
    platform.supervisor.stop()
    with contextlib.ExitStack() as others:
        for url in before.values():
            others.enter_context(socket.create_server(("127.0.0.1", urlsplit(url).port or 0)))
        platform.supervisor.start_again()

        def serve() -> bool:
            platform.restore()
            platform.run_jobs()
            rows = platform.all(Deployment, is_old)
            return all(row.url != before[row.id] and get(str(row.url))[0] == 200 for row in rows)

        wait_until("the apps at their new addresses", serve)

    after = {row.id: row for row in platform.all(Deployment, is_old)}
    assert set(after) == set(before)
    (preview,) = (row for row in after.values() if row.environment_ == "preview")
    assert platform.get(Task, shown.id).preview_url == preview.url
    assert get(str(preview.url)) == (200, "3\n")
    told = [json.loads(row.data)["data"] for row in platform.all(EventRow, EventRow.name == "deploy:url_changed")]
    assert {one["deploymentId"]: one["url"] for one in told} == {id_: row.url for id_, row in after.items()}
