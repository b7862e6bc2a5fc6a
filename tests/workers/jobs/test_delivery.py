"""The train, health gates, going back, and previews: what may never happen on the way to production."""

from __future__ import annotations

import math
import shlex
import sys
import threading
from dataclasses import replace

import pytest

from common.errors import Conflict
from common.models import Deployment, GroupMember, HealthSpan, Job, Project, Task, TaskCheck, TaskGroup
from common.providers.forge import local_forge
from common.providers.runtime import runtime
from common.services import jobs
from common.services.delivery import deployments, task_groups
from common.services.delivery.bisection import CONFIRMING_RUNS
from common.services.projects.places import app_of, place_of
from common.services.tasks import tasks
from common.values.app import Health
from common.values.check import Check, CheckPhase
from common.values.pull_request import PullState
from tests.e2e.instance import wait_until
from tests.providers.git_tree import git
from tests.providers.runtime_contract import settled, until
from tests.providers.runtime_supervisor import WEB_APP, bad_after, get
from tests.workers.platform import Platform
from workers import runtime_calls

APP = {"app.py": WEB_APP, "says": "first\n"}
START = f"{shlex.quote(sys.executable)} -I app.py"


def _live(platform: Platform, project_id: str, environment: str) -> Deployment:
    found: Deployment = platform.all(Deployment, Deployment.live_key == f"{project_id}:{environment}")[0]
    return found


@pytest.mark.slow
def test_of_eight_five_land_and_three_come_back_once(plain_platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """One breaks the tests together with the others, two conflict; the culprit is named in few test runs.

    The whole fails twice, the default branch passes, halves are searched, and both sides of the verdict are repeated.
    """
    platform = plain_platform
    seen: list[tuple[str, CheckPhase]] = []
    real = runtime_calls.run_check

    def counted(at: object, wanted: Check) -> object:
        state = real(at, wanted)  # type: ignore[arg-type]
        if "-" in wanted.check_id and state.phase is not CheckPhase.RUNNING:
            seen.append((wanted.check_id, state.phase))
        return state

    monkeypatch.setattr("workers.jobs.delivery.run_check", counted)
    files = {"index.html": "<h1>first</h1>\n", "a": "1\n", "limit": "", "use": ""}
    project = platform.project(files, test_command="test $(cat limit use | wc -l) -lt 2")
    repository = platform.repository(project.id)
    changes = [
        {"a": "x\n"},
        {"b": "1\n"},
        {"limit": "1\n"},
        {"a": "y\n"},
        {"c": "1\n"},
        {"use": "1\n"},
        {"a": "z\n"},
        {"d": "1\n"},
    ]
    members = [platform.approved(project, f"Task {number}", dict(change)) for number, change in enumerate(changes)]
    seen.clear()

    group = platform.staged(*members)
    assert group.state == "staging"
    kinds = {problem["taskId"]: problem["kind"] for problem in group.problems}
    assert kinds == {members[3].id: "conflict", members[6].id: "conflict", members[5].id: "tests_failed"}
    red_attempt = [check for check, _phase in seen if check.startswith(f"{group.id}-1-")]
    assert len(red_attempt) <= 2 + 1 + math.ceil(math.log2(6)) + 2 * (CONFIRMING_RUNS - 1)

    tested = {group.tested_sha}
    group = platform.to_production(group)
    assert local_forge().read_head(repository, "main") in tested
    assert sum(platform.get(Task, task.id).state == "production" for task in members) == 5

    came_back = [members[3], members[5], members[6]]
    for _ in came_back:
        claimed = platform.claim()
        assert [item.kind for item in claimed.feedback] == ["group"]
        change = {"a": f"{claimed.task.title}\n"} if claimed.task.id != members[5].id else {"use": ""}
        tree = platform.clone(claimed.project)
        # The first of them lands alone below; each starts anew from what is there.
        sha = tree.commit({**change, "solved": claimed.task.title}, on="again", start="origin/main")
        tree.push(f"+again:{claimed.task.branch_name}")
        platform.finish(claimed, sha)
        platform.run_jobs()
    ready = [platform.get(Task, task.id) for task in came_back]
    assert [(task.state, task.round) for task in ready] == [("ready_to_test", 2)] * 3
    tasks.approve_task(came_back[1].id, by=platform.max)
    assert platform.to_production(platform.staged(platform.get(Task, came_back[1].id))).state == "production"


def test_a_version_that_turns_bad_in_its_gate_is_never_seen(plain_platform: Platform) -> None:
    platform = plain_platform
    seconds = {"preview": 0, "staging": 2, "production": 2}
    project = platform.project(APP, start_command=START, health_seconds=seconds)
    platform.to_production(platform.staged(platform.approved(project, "Good", {"says": "good\n"})))
    url = _live(platform, project.id, "production").url
    saw: set[tuple[int, str]] = set()
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.1):
            saw.add(get(url))

    client = threading.Thread(target=ask)
    client.start()
    try:
        group = platform.staged(platform.approved(project, "Bad", {"app.py": bad_after(1), "says": "bad\n"}))
    finally:
        done.set()
        client.join()
    assert group.state == "failed"
    assert "500" in group.error
    assert saw == {(200, "good\n")}
    assert get(_live(platform, project.id, "staging").url) == (200, "good\n")


@pytest.mark.slow
def test_production_takes_back_what_staging_did_not_notice(plain_platform: Platform) -> None:
    platform = plain_platform
    seconds = {"preview": 0, "staging": 0, "production": 3}
    project = platform.project(APP, start_command=START, health_seconds=seconds)
    platform.to_production(platform.staged(platform.approved(project, "Good", {"says": "good\n"})))
    good = _live(platform, project.id, "production")
    group = platform.staged(platform.approved(project, "Bad", {"app.py": bad_after(1), "says": "bad\n"}))
    group = platform.to_production(group)
    assert group.state == "staging"
    assert "500" in group.error
    assert _live(platform, project.id, "production").id == good.id
    assert get(good.url) == (200, "good\n")
    assert local_forge().read_head(platform.repository(project.id), "main") == good.commit_sha


@pytest.mark.slow
def test_work_that_came_back_waits_for_what_it_would_clash_with_again(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project({"index.html": "<h1>first</h1>\n", "shared": "1\n"})
    first = platform.approved(project, "First", {"shared": "first\n"})
    second = platform.approved(project, "Second", {"shared": "second\n"})
    group = platform.staged(first, second)
    claimed = platform.claim()
    assert claimed.task.id == second.id
    platform.finish(claimed, platform.push(claimed, {"other": "x\n"}))

    def waits() -> bool:
        return bool(
            platform.all(
                TaskCheck, TaskCheck.task_id == second.id, TaskCheck.name == "merge", TaskCheck.status == "running"
            )
        )

    platform.run_jobs(until=waits)
    task_groups.deploy_to_production(group.id, default_head=group.base_sha, by=platform.max)
    platform.run_jobs()
    assert platform.get(TaskGroup, group.id).state == "production"
    again = platform.claim()
    assert again.feedback[0].body.startswith("conflicts: ")
    tree = platform.clone(project)
    sha = tree.commit({"shared": "first and second\n"}, on="solved", start="origin/main")
    tree.push(f"+solved:{second.branch_name}")
    platform.finish(again, sha)
    platform.run_jobs()
    assert platform.get(Task, second.id).state == "ready_to_test"


@pytest.mark.slow
def test_a_live_version_that_keeps_dying_is_taken_back(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project(APP, start_command=START, health_seconds={"preview": 0, "staging": 0, "production": 1})
    platform.to_production(platform.staged(platform.approved(project, "Good", {"says": "good\n"})))
    bad = {"app.py": bad_after(15), "says": "bad\n"}
    platform.to_production(platform.staged(platform.approved(project, "Bad", bad)))
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
    platform.to_production(platform.staged(platform.approved(project, "One", {"index.html": "1\n"})))
    platform.to_production(platform.staged(platform.approved(project, "Two", {"index.html": "2\n"})))
    live = _live(platform, project.id, "production")
    made, _job, taken = deployments.rollback_deployment(live.id, to_deployment_id=None, by=platform.max)
    platform.run_jobs()
    assert platform.get(Deployment, made.id).state == "completed"
    assert [platform.get(Task, task_id).title for task_id in taken] == ["Two"]

    other = platform.approved(project, "Other", {"other": "x\n"})
    with pytest.raises(Conflict, match="rolled back"):
        platform.group(other)
    assert platform.group(other, accept_rolled_back=True).accepted_rolled_back_at is not None
    fix = platform.task(project, "Mend", labels=["fix"])
    platform.work(fix, {"index.html": "3\n"})
    tasks.approve_task(fix.id, by=platform.max)
    assert platform.staged(platform.get(Task, fix.id)).state in {"staging", "merged"}


@pytest.mark.slow
@pytest.mark.parametrize("oldest", ["this", "sha", "nonsense"])
def test_a_change_of_data_that_can_not_be_undone_blocks_the_way_back(plain_platform: Platform, oldest: str) -> None:
    platform = plain_platform
    project = platform.project()
    platform.to_production(platform.staged(platform.approved(project, "Old", {"index.html": "old\n"})))
    named = {"this": "this", "sha": local_forge().read_head(platform.repository(project.id), "main"), "nonsense": "x"}
    barrier = f"oldest: {named[oldest]}\nreason: Migration 12 drops a column\n"
    files = {"index.html": "new\n", ".aiworker/rollback.yml": barrier}
    platform.to_production(platform.staged(platform.approved(project, "New", files)))
    live = _live(platform, project.id, "production")
    if oldest == "sha":
        assert platform.rollback(live.id).state == "completed"
        return
    reason = "drops a column" if oldest == "this" else "can't be understood"
    with pytest.raises(Conflict, match=reason):
        deployments.rollback_deployment(live.id, to_deployment_id=None, by=platform.max)


def test_a_later_version_that_deletes_the_mark_does_not_open_the_way_back(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project()
    platform.to_production(platform.staged(platform.approved(project, "Old", {"index.html": "old\n"})))
    old = _live(platform, project.id, "production")
    mark = {".aiworker/rollback.yml": "oldest: this\nreason: Migration 12 drops a column\n"}
    platform.to_production(platform.staged(platform.approved(project, "New", {"index.html": "new\n", **mark})))
    new = _live(platform, project.id, "production")
    tidy = platform.approved(project, "Tidy", {".aiworker/rollback.yml": None})
    platform.to_production(platform.staged(tidy))
    live = _live(platform, project.id, "production")
    with pytest.raises(Conflict, match="drops a column"):
        deployments.rollback_deployment(live.id, to_deployment_id=old.id, by=platform.max)
    assert platform.rollback(live.id).commit_sha == new.commit_sha
    with pytest.raises(Conflict, match="drops a column"):
        platform.rollback(_live(platform, project.id, "production").id)


def test_a_default_branch_that_moved_rebuilds_the_group(platform: Platform) -> None:
    project = platform.project()
    group = platform.staged(platform.approved(project, "One", {"one": "1\n"}))
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


def test_a_branch_that_moves_during_the_deployment_is_noticed(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project()
    group = platform.staged(platform.approved(project, "One", {"one": "1\n"}))
    task_groups.deploy_to_production(group.id, default_head=group.base_sha, by=platform.max)
    tree = platform.clone(project)
    tree.commit({"pushed": "by hand\n"}, on="main")
    tree.push("main")
    platform.run_jobs()
    rebuilt = platform.get(TaskGroup, group.id)
    assert rebuilt.state == "staging"
    assert platform.to_production(rebuilt).state == "production"


@pytest.mark.slow
def test_cancelled_tasks_leave_nothing_running(plain_platform: Platform) -> None:
    """Half of the previews' tasks are cancelled while the runtime is down; once it is up, only the others serve."""
    platform = plain_platform
    project = platform.project()
    made = [platform.ready(project, f"Task {number}", {f"file-{number}": "x\n"}) for number in range(6)]
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
def test_a_task_leaves_its_group_with_what_it_needs_and_stays_approved(plain_platform: Platform) -> None:
    """Once because of a conflict, once because a person takes the other one out."""
    platform = plain_platform
    project = platform.project({"index.html": "<h1>first</h1>\n", "shared": "1\n"})
    first = platform.approved(project, "First", {"shared": "first\n"})
    clash = platform.approved(project, "Clash", {"shared": "clash\n"})
    kept = platform.approved(project, "Kept", {"kept": "x\n"})
    after_clash, after_kept = _dependent(platform, "after", clash), _dependent(platform, "kept-after", kept)
    top = _dependent(platform, "top", after_clash)

    group = platform.staged(top, after_kept, after_clash, first, clash, kept)

    assert [(one["kind"], one["taskId"]) for one in group.problems] == [
        ("conflict", clash.id),
        ("dependency", after_clash.id),
        ("dependency", top.id),
    ]
    assert "'Clash'" in group.problems[1]["detail"]
    assert [platform.get(Task, one.id).state for one in (first, clash, after_clash, top, kept, after_kept)] == [
        "staging", "in_progress", "approved", "approved", "staging", "staging",
    ]  # fmt: skip

    task_groups.remove_from_group(group.id, kept.id, by=platform.max)
    platform.run_jobs()
    group = platform.to_production(platform.get(TaskGroup, group.id))
    states = [platform.get(Task, one.id).state for one in (first, kept, after_kept)]
    assert (group.state, states) == ("production", ["production", "approved", "approved"])
    assert platform.group(after_kept, kept).state == "pending"


@pytest.mark.slow
def test_a_tag_in_the_way_of_a_release_is_told_and_the_rest_is_finished(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project()
    repository = platform.repository(project.id)
    path = local_forge().repository_path(repository)
    foreign = local_forge().read_head(repository, "main")
    assert foreign is not None

    def deliver(title: str) -> tuple[TaskGroup, Job]:
        """Its pull request is closed as merged, whatever becomes of the tag."""
        task = platform.approved(project, title, {title: "x\n"})
        group = platform.to_production(platform.staged(task, name=title))
        pull = local_forge().read_pull_request(repository, platform.get(Task, task.id).pr_number)
        assert (group.state, pull and pull.state) == ("production", PullState.MERGED)
        return group, platform.all(Job, Job.kind == "group.finish", Job.subject_id == group.id)[0]

    # No tag below released/ can be made beside this one.
    git("update-ref", "refs/tags/released", foreign, at=path)
    group, job = deliver("one")
    assert (job.state, "refs/tags/released" in group.error, "retry" in group.error) == ("failed", True, True)
    git("update-ref", "-d", "refs/tags/released", at=path)
    jobs.retry_job(job.id, by=platform.max)
    platform.run_jobs()
    assert platform.get(TaskGroup, group.id).error is None
    assert git("rev-parse", "refs/tags/released/one", at=path) == group.tested_sha

    git("update-ref", "refs/tags/released/two", foreign, at=path)
    group, job = deliver("two")
    spare = f"released/two-{group.tested_sha[:12]}"
    assert (job.state, foreign in group.error, spare in group.error) == ("done", True, True)
    assert git("rev-parse", "refs/tags/released/two", at=path) == foreign
    assert git("rev-parse", f"refs/tags/{spare}", at=path) == group.tested_sha


def test_taking_a_task_out_rebuilds_the_rest(platform: Platform) -> None:
    project = platform.project()
    one = platform.approved(project, "One", {"one": "1\n"})
    two = platform.approved(project, "Two", {"two": "2\n"})
    group = platform.staged(one, two)
    task_groups.remove_from_group(group.id, one.id, by=platform.max)
    platform.run_jobs()
    assert platform.get(TaskGroup, group.id).state == "staging"
    assert [platform.get(Task, task.id).state for task in (one, two)] == ["approved", "staging"]
    held = platform.all(GroupMember, GroupMember.live_task_id.is_not(None))
    assert [member.task_id for member in held] == [two.id]


@pytest.mark.slow
def test_what_a_project_asks_of_a_healthy_answer_reaches_the_runtime(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project(health_contains="<h1>")
    task = platform.ready(project, "Page", {"index.html": "<h1>second</h1>\n"})
    (preview,) = platform.all(Deployment, Deployment.task_id == task.id)
    version = deployments.version_of(preview)
    assert version.spec.health == Health("/", "<h1>", 400, 0)

    place = place_of(project)
    spec = replace(version.spec, health=replace(version.spec.health, contains="<h2>"))
    wanted = runtime_calls.with_source(local_forge(), place, replace(version, version_id="other", spec=spec))
    other = app_of(place, "other")
    runtime().ensure_app(other, replace(wanted, start_seconds=5))
    assert str(settled(runtime(), other, "other").reason).endswith("and without the text '<h2>'")
