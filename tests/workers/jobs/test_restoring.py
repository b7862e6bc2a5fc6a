"""The job that keeps the runtime as it should be, while people and other jobs change what that is."""

from __future__ import annotations

import contextlib
import json
import socket
from urllib.parse import urlsplit

import pytest

from common.jobs.catalogue import RESTORE_RUNTIME, Lease
from common.models import Deployment, EventRow, Task, TaskGroup
from common.providers.forge import forge
from common.providers.runtime import runtime
from common.services.delivery import task_groups
from common.services.deployment import restoring
from common.services.deployment.restoring import RestorePlan
from common.services.project_settings.project_resources import app_of, location_of
from tests.e2e.instance import wait_until
from tests.providers.runtime_supervisor import RUN_WEB_APP, WEB_APP, get
from tests.workers.gitea_and_cluster import GiteaAndCluster
from tests.workers.jobs.test_train import approved
from tests.workers.platform import Platform
from workers import registry

pytestmark = pytest.mark.slow


def test_a_version_that_went_live_since_the_job_began_is_not_replaced(
    plain: GiteaAndCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plain.project()
    one, two = approved(plain, project, {"one": "1\n"}, {"two": "2\n"})
    plain.to_production(plain.staged(one))
    (old,) = plain.all(Deployment, Deployment.live_key == f"{project.id}:production")
    group = plain.staged(two)
    app, real = app_of(location_of(project), "production"), restoring.begin_restore

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


def _restore_once(platform: GiteaAndCluster) -> None:
    (job,) = (job for job in platform.due() if job.kind == RESTORE_RUNTIME.name)
    registry.registered[job.kind](job.id)


def test_an_app_that_had_to_take_another_port_is_shown_at_its_new_address(platform: Platform) -> None:
    project = platform.project({"app.py": WEB_APP, "says": "1\n"}, start_command=RUN_WEB_APP)
    platform.to_production(platform.staged(*approved(platform, project, {"says": "2\n"})))
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
