"""The train, health gates, going back, and previews: what may never happen on the way to production."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Mapping

import pytest

from common.errors import Conflict
from common.models import Deployment, GroupMember, HealthSpan, Project, Task, TaskGroup
from common.providers.forge import local_forge
from common.providers.runtime import runtime
from common.services.delivery import task_groups
from common.services.deployment import deployments
from common.services.tasks import tasks
from tests.e2e.instance import wait_until
from tests.providers.runtime_contract import until
from tests.providers.runtime_supervisor import WEB_APP, bad_after, get
from tests.workers.jobs.test_train import approved
from tests.workers.platform import Platform

APP = {"app.py": WEB_APP, "says": "first\n"}
START = f"{shlex.quote(sys.executable)} -I app.py"


def _live(platform: Platform, project_id: str, environment: str) -> Deployment:
    found: Deployment = platform.all(Deployment, Deployment.live_key == f"{project_id}:{environment}")[0]
    return found


def _approved(platform: Platform, project: Project, change: Mapping[str, str | None]) -> Task:
    (task,) = approved(platform, project, change)
    return task


def test_a_version_that_turns_bad_in_its_gate_is_never_seen(platform: Platform) -> None:
    seconds = {"preview": 0, "staging": 2, "production": 2}
    project = platform.project(APP, start_command=START, health_seconds=seconds)
    platform.to_production(platform.staged(_approved(platform, project, {"says": "good\n"})))
    url = _live(platform, project.id, "production").url
    saw: set[tuple[int, str]] = set()
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.1):
            saw.add(get(url))

    client = threading.Thread(target=ask)
    client.start()
    try:
        group = platform.staged(_approved(platform, project, {"app.py": bad_after(1), "says": "bad\n"}))
    finally:
        done.set()
        client.join()
    assert group.state == "failed"
    assert "500" in group.error
    assert saw == {(200, "good\n")}
    assert get(_live(platform, project.id, "staging").url) == (200, "good\n")


@pytest.mark.slow
def test_production_takes_back_what_staging_did_not_notice(platform: Platform) -> None:
    seconds = {"preview": 0, "staging": 0, "production": 3}
    project = platform.project(APP, start_command=START, health_seconds=seconds)
    platform.to_production(platform.staged(_approved(platform, project, {"says": "good\n"})))
    good = _live(platform, project.id, "production")
    group = platform.staged(_approved(platform, project, {"app.py": bad_after(1), "says": "bad\n"}))
    group = platform.to_production(group)
    assert group.state == "staging"
    assert "500" in group.error
    assert _live(platform, project.id, "production").id == good.id
    assert get(good.url) == (200, "good\n")
    assert local_forge().read_head(platform.repository(project.id), "main") == good.commit_sha


@pytest.mark.slow
def test_a_live_version_that_keeps_dying_is_taken_back(platform: Platform) -> None:
    project = platform.project(APP, start_command=START, health_seconds={"preview": 0, "staging": 0, "production": 1})
    platform.to_production(platform.staged(_approved(platform, project, {"says": "good\n"})))
    bad = {"app.py": bad_after(15), "says": "bad\n"}
    platform.to_production(platform.staged(_approved(platform, project, bad)))
    dying = _live(platform, project.id, "production")

    def taken_back() -> bool:
        platform.restore()
        platform.run_jobs()
        return _live(platform, project.id, "production").rollback_of == dying.id

    wait_until("the dying version to be taken back", taken_back)
    assert platform.get(Deployment, dying.id).state == "rolled_back"
    back = _live(platform, project.id, "production")
    assert get(back.url) == (200, "good\n")
    assert "500" in platform.all(HealthSpan, HealthSpan.state == "failing")[0].reason
    # It was healthy before: while errors are shown, nobody waits for its gate again.
    assert deployments.version_of(back).spec.health.seconds == 0


@pytest.mark.slow
def test_the_next_group_after_a_rollback_has_to_mend_it(platform: Platform) -> None:
    project = platform.project()
    platform.to_production(platform.staged(_approved(platform, project, {"index.html": "1\n"})))
    platform.to_production(platform.staged(_approved(platform, project, {"index.html": "2\n"})))
    live = _live(platform, project.id, "production")
    made, _job, taken = deployments.rollback_deployment(live.id, to_deployment_id=None, by=platform.max)
    platform.run_jobs()
    assert platform.get(Deployment, made.id).state == "completed"
    assert len(taken) == 1

    other = _approved(platform, project, {"other": "x\n"})
    with pytest.raises(Conflict, match="rolled back"):
        platform.group(other)
    assert platform.group(other, accept_rolled_back=True).accepted_rolled_back_at is not None
    fix = platform.task(project, "Mend", labels=["fix"])
    platform.work(fix, {"index.html": "3\n"})
    tasks.approve_task(fix.id, by=platform.max)
    assert platform.staged(platform.get(Task, fix.id)).state in {"staging", "merged"}


def test_a_later_version_that_deletes_the_mark_does_not_open_the_way_back(platform: Platform) -> None:
    project = platform.project()
    platform.to_production(platform.staged(_approved(platform, project, {"index.html": "old\n"})))
    old = _live(platform, project.id, "production")
    mark = {".aiworker/rollback.yml": "oldest: this\nreason: Migration 12 drops a column\n"}
    platform.to_production(platform.staged(_approved(platform, project, {"index.html": "new\n", **mark})))
    new = _live(platform, project.id, "production")
    tidy = _approved(platform, project, {".aiworker/rollback.yml": None})
    platform.to_production(platform.staged(tidy))
    live = _live(platform, project.id, "production")
    with pytest.raises(Conflict, match="drops a column"):
        deployments.rollback_deployment(live.id, to_deployment_id=old.id, by=platform.max)
    assert platform.rollback(live.id).commit_sha == new.commit_sha
    with pytest.raises(Conflict, match="drops a column"):
        platform.rollback(_live(platform, project.id, "production").id)


def test_a_default_branch_that_moved_rebuilds_the_group(platform: Platform) -> None:
    project = platform.project()
    group = platform.staged(_approved(platform, project, {"one": "1\n"}))
    tree = platform.clone(project)
    tree.commit({"pushed": "by hand\n"}, on="main")
    tree.push("main")
    head = local_forge().read_head(platform.repository(project.id), "main")
    with pytest.raises(Conflict, match="has moved") as refused:
        task_groups.deploy_to_production(group.id, default_head=head, by=platform.max)
    assert refused.value.follow_up is not None
    refused.value.follow_up()
    platform.run_jobs()
    rebuilt = platform.get(TaskGroup, group.id)
    assert (rebuilt.state, rebuilt.base_sha) == ("staging", head)
    assert platform.to_production(rebuilt).state == "production"


def test_a_branch_that_moves_during_the_deployment_is_noticed(platform: Platform) -> None:
    project = platform.project()
    group = platform.staged(_approved(platform, project, {"one": "1\n"}))
    task_groups.deploy_to_production(group.id, default_head=group.base_sha, by=platform.max)
    tree = platform.clone(project)
    tree.commit({"pushed": "by hand\n"}, on="main")
    tree.push("main")
    platform.run_jobs()
    rebuilt = platform.get(TaskGroup, group.id)
    assert rebuilt.state == "staging"
    assert platform.to_production(rebuilt).state == "production"


@pytest.mark.slow
def test_cancelled_tasks_leave_nothing_running(platform: Platform) -> None:
    """Half of the previews' tasks are cancelled while the runtime is down; once it is up, only the others serve."""
    project = platform.project()
    made = [platform.ready(project, f"Task {number}", {f"file-{number}": "x\n"}) for number in range(2)]
    platform.supervisor.kill()
    for task in made[::2]:
        tasks.cancel_task(task.id, by=platform.max)
    platform.supervisor.start_again()
    platform.run_jobs()
    platform.restore()
    platform.run_jobs()
    kept = {task.id for task in made[1::2]}
    names = {row.app_name for row in platform.all(Deployment, Deployment.live_key.is_not(None))}
    assert {row.task_id for row in platform.all(Deployment, Deployment.live_key.is_not(None))} == kept
    assert {name for _namespace, name, _wanted in runtime().list_apps()} == names
    for task_id in kept:
        url = platform.get(Task, task_id).preview_url
        until(lambda url=url: get(url)[0] == 200, what=f"{url} to answer")


def _dependent(platform: Platform, title: str, needed: Task) -> Task:
    task = platform.task(platform.get(Project, needed.project_id), title, depends_on=[needed.id])
    platform.work(task, {title: "x\n"})
    return tasks.approve_task(task.id, by=platform.max)


@pytest.mark.slow
def test_a_task_leaves_its_group_with_what_it_needs_and_stays_approved(platform: Platform) -> None:
    """Once because of a conflict, once because a person takes the other one out."""
    project = platform.project({"index.html": "<h1>first</h1>\n", "shared": "1\n"})
    first, clash, kept = approved(platform, project, {"shared": "first\n"}, {"shared": "clash\n"}, {"kept": "x\n"})
    after_clash, after_kept = _dependent(platform, "after", clash), _dependent(platform, "kept-after", kept)

    group = platform.staged(after_kept, after_clash, first, clash, kept)

    assert [(one["kind"], one["taskId"]) for one in group.problems] == [
        ("conflict", clash.id),
        ("dependency", after_clash.id),
    ]
    states = [platform.get(Task, one.id).state for one in (first, clash, after_clash, kept, after_kept)]
    assert states == ["staging", "in_progress", "approved", "staging", "staging"]

    task_groups.remove_from_group(group.id, kept.id, by=platform.max)
    platform.run_jobs()
    assert [platform.get(Task, one.id).state for one in (first, kept, after_kept)] == [
        "staging",
        "approved",
        "approved",
    ]


def test_taking_a_task_out_rebuilds_the_rest(platform: Platform) -> None:
    project = platform.project()
    one = _approved(platform, project, {"one": "1\n"})
    two = _approved(platform, project, {"two": "2\n"})
    group = platform.staged(one, two)
    task_groups.remove_from_group(group.id, one.id, by=platform.max)
    platform.run_jobs()
    assert platform.get(TaskGroup, group.id).state == "staging"
    assert [platform.get(Task, task.id).state for task in (one, two)] == ["approved", "staging"]
    held = platform.all(GroupMember, GroupMember.live_task_id.is_not(None))
    assert [member.task_id for member in held] == [two.id]
