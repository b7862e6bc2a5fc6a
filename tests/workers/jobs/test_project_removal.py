"""A deleted project leaves nothing on the Gitea server and in the cluster, whatever goes wrong on the way."""

from __future__ import annotations

import pytest

from common import jobs
from common.envelopes import read_keys
from common.errors import NotFound
from common.jobs import Lease
from common.models import AuditSeal, EventRow, Job, LogEntry, Project
from common.models.insertion import insert_values
from common.names import preview_app
from common.providers.forge import forge
from common.services import jobs as rows
from common.services import purging
from common.services.audit_checks import check_audit
from common.services.projects import projects
from common.services.tasks import watching
from common.settings import settings
from common.signing import public_key
from common.states import JobState
from common.transaction import Transaction, transactional
from tests.doubles.gitea import Fault
from tests.e2e.instance import wait_until
from tests.workers.elsewhere import Elsewhere
from tests.workers.platform import Platform
from workers import registry

MOST_CALLS = 100


@pytest.fixture
def there(plain: Elsewhere) -> Elsewhere:
    """On SQLite alone."""
    return plain


def busy_project(there: Elsewhere) -> Project:
    """A project with a webhook, rules, a namespace, a copy here, and an agent at work with a user of its own."""
    project = there.project({"a": "a"})
    there.task(project)
    claimed = there.claim()
    head = forge().read_head(there.repository(project.id), "main") or ""
    forge().contains(there.repository(project.id), ancestor=head, head=head)
    assert (there.repo(project).hooks, claimed.clone.username in there.server.model.users) != ([], False)
    assert there.cluster.names("namespaces") == [project.namespace]
    assert copies() == [project.slug]
    return project


def copies() -> list[str]:
    """The repositories of which there is a copy on this machine."""
    return sorted({path.parent.parent.name for path in settings().forge.mirrors_dir.glob("*/*/*/*/HEAD")})


def delete(there: Elsewhere, project: Project) -> None:
    projects.delete_project(project.id, by=there.max)
    there.run_jobs()


def assert_gone(there: Elsewhere, project: Project) -> None:
    assert there.all(Project) == []
    assert there.server.model.repos == {}
    assert [login for login in there.server.model.users if login.startswith("aiw-run-")] == []
    assert copies() == []
    wait_until("the namespace to be gone", lambda: there.cluster.names("namespaces") == [])
    assert there.all(Job, Job.state_.in_([JobState.QUEUED, JobState.RUNNING])) == []
    with pytest.raises(NotFound):
        projects.delete_project(project.id, by=there.max)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["500", "apply_then_500"])
def test_each_call_to_the_forge_fails_once(there: Elsewhere, fault: str) -> None:
    for nth in range(1, MOST_CALLS):
        project = busy_project(there)
        there.server.faults = [Fault(".", fault, nth)]
        delete(there, project)
        assert_gone(there, project)
        if not there.server.faults[0].has_struck:
            break
    assert nth > 5


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["500", "apply_then_500"])
def test_each_call_to_the_cluster_fails_once(there: Elsewhere, fault: str) -> None:
    struck = 0
    for nth in range(1, MOST_CALLS):
        project = busy_project(there)
        there.cluster.faults.clear()
        there.cluster.faults.add(".", fault, nth=nth)
        delete(there, project)
        there.cluster.faults.clear()
        assert_gone(there, project)
        if there.cluster.faults.struck == struck:
            break
        struck = there.cluster.faults.struck
    assert nth > 2


@pytest.mark.slow
def test_a_user_that_was_half_made_for_a_run_goes_too(there: Elsewhere) -> None:
    project = there.project({"a": "a"})
    there.task(project)
    there.agent_id = there.agent_id or there.agent()
    there.server.faults = [fault := Fault("PUT .*/collaborators", "500")]
    there.run_jobs(until=lambda: fault.has_struck)
    assert any(login.startswith("aiw-run-") for login in there.server.model.users)

    delete(there, project)
    assert_gone(there, project)


def deploying_project(there: Elsewhere) -> Project:
    """A project with a preview that never becomes ready."""
    project = there.project()
    task = there.task(project, "Slow")
    claimed = there.claim()
    there.finish(claimed, there.push(claimed, {"index.html": "<h1>slow</h1>\n"}))
    there.cluster.script(app := preview_app(task.id), "never_ready")
    there.run_jobs(until=lambda: app in there.cluster.names("deployments"))
    return project


@pytest.mark.slow
def test_what_is_being_deployed_does_not_come_back(there: Elsewhere) -> None:
    project = deploying_project(there)

    projects.delete_project(project.id, by=there.max)
    there.server.faults = [first := Fault("DELETE /api/v1/repos/[^/]+/[^/]+$", "500"), Fault("DELETE", "500", nth=3)]
    there.run_jobs(until=lambda: first.has_struck)
    wait_until("the namespace to be gone", lambda: there.cluster.names("namespaces") == [])
    there.run_jobs()

    assert_gone(there, project)


@pytest.mark.slow
def test_the_rows_stay_while_another_job_of_the_project_is_at_work(there: Elsewhere) -> None:
    """It may make anew what has been removed, so everything is removed once more after it."""
    project = busy_project(there)
    watching.ring_for_push(project.id)
    (watch,) = there.all(Job, Job.kind == jobs.WATCH_REPOSITORY.name, Job.state_ == JobState.QUEUED)
    lease = rows.claim_job(watch.id)
    assert lease is not None
    _shown, deletion = projects.delete_project(project.id, by=there.max)
    place = there.repository(project.id)
    there.run_jobs(until=lambda: there.server.model.repos == {})
    there.run_jobs(until=lambda: there.get(Job, deletion.id).state == JobState.QUEUED)
    assert there.get(Project, project.id).state == "deleting"

    forge().ensure_repository(place, default_branch="main", description="", import_url=None)
    rows.finish_if_held(lease)
    there.run_jobs()
    assert_gone(there, project)


def claim(job_id: str) -> Lease:
    lease = rows.claim_job(job_id)
    assert lease is not None
    return lease


@transactional
def make_due(tx: Transaction, job_id: str) -> None:
    tx.lock(Job, job_id).next_at = tx.now()


@transactional
def _add_entries(tx: Transaction, run_id: str, amount: int) -> None:
    entries = [{"number": number} for number in range(1, amount + 1)]
    about = {"agent_id": "a", "run_id": run_id, "at": tx.now(), "level": "info", "kind": "log", "message": "said"}
    insert_values(tx.connection, LogEntry, entries, **about)


def test_a_long_past_goes_in_small_steps_before_the_rest(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no transaction keeps others from writing for long, or takes longer than the database lets it."""
    monkeypatch.setattr(purging, "MOST_BATCHES", 2)
    project, other = platform.project(), platform.project()
    for one in (other, project):
        platform.task(one)
        _add_entries(platform.claim().run.id, 2_500)
        platform.agent_id = ""
    _shown, deletion = projects.delete_project(project.id, by=platform.max)
    left = []

    while platform.get(Job, deletion.id).state != JobState.DONE:
        registry.registered[deletion.kind](deletion.id)
        left.append((len(platform.all(LogEntry, LogEntry.message == "said")), len(platform.all(Project))))
        findings = check_audit(read_keys(public_key()))
        assert [one.problem for one in findings if one.problem] == []

    assert left == [(4_000, 2), (3_000, 2), (2_500, 1)]
    for model in (EventRow, AuditSeal):
        assert platform.all(model, model.feed_id == project.id) == []


def test_a_run_of_a_repository_without_its_mark_loses_its_user_and_the_project_goes(plain: Elsewhere) -> None:
    project = plain.project()
    plain.task(project)
    plain.claim()
    plain.repo(project).fields["description"] = "Ours now"

    delete(plain, project)

    assert plain.all(Project) == []
    assert plain.repo(project).fields["description"] == "Ours now"
    assert [login for login in plain.server.model.users if login.startswith("aiw-run-")] == []


def test_a_project_whose_name_a_foreign_repository_has_can_be_deleted(plain: Elsewhere) -> None:
    """It was never the project's: it is left as it is."""
    plain.server.model.organisations.add("aiworker")
    plain.server.model.add_repo("aiworker", "shop", {"description": "Ours", "default_branch": "main"})
    made = projects.create_project({"name": "Shop"}, by=plain.max).project
    plain.run_jobs()
    failed = plain.get(Project, made.id)
    assert (failed.state, "belongs to another project" in str(failed.error)) == ("failed", True)

    projects.delete_project(made.id, by=plain.max)
    plain.run_jobs()

    assert plain.all(Project) == []
    assert plain.server.repo("aiworker", "shop").fields["description"] == "Ours"
