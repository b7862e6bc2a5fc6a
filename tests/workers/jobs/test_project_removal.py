"""A deleted project leaves nothing on the Gitea server and in the cluster, whatever goes wrong on the way."""

from __future__ import annotations

import pytest

from common.errors import NotFound
from common.jobs import catalogue
from common.models import AuditSeal, EventRow, Job, LogEntry, Project
from common.models.insertion import insert_values
from common.providers.forge import forge
from common.secrets.envelopes import read_keys
from common.secrets.signing import public_key
from common.services.activity import jobs as rows
from common.services.activity.audit_checks import check_audit
from common.services.projects import projects
from common.services.tasks import forge_changes
from common.services.upkeep import purging
from common.settings import settings
from common.transaction import Transaction, transactional
from common.values.states import JobState
from tests.doubles.gitea import Fault
from tests.e2e.instance import wait_until
from tests.workers.gitea_and_cluster import GiteaAndCluster
from tests.workers.platform import Platform
from workers import registry


def busy_project(plain: GiteaAndCluster) -> Project:
    """A project with a webhook, rules, a namespace, a copy here, and an agent at work with a user of its own."""
    project = plain.project({"a": "a"})
    plain.task(project)
    claimed = plain.claim()
    head = forge().read_head(plain.repository(project.id), "main") or ""
    forge().contains(plain.repository(project.id), ancestor=head, head=head)
    assert (plain.repo(project).hooks, claimed.clone.username in plain.server.model.users) != ([], False)
    assert plain.cluster.names("namespaces") == [project.namespace]
    assert copies() == [project.slug]
    return project


def copies() -> list[str]:
    """The repositories of which there is a copy on this machine."""
    return sorted({path.parent.parent.name for path in settings().forge.mirrors_dir.glob("*/*/*/*/HEAD")})


def delete(plain: GiteaAndCluster, project: Project) -> None:
    projects.delete_project(project.id, by=plain.max)
    plain.run_jobs()


def assert_gone(plain: GiteaAndCluster, project: Project) -> None:
    assert plain.all(Project) == []
    assert plain.server.model.repos == {}
    assert [login for login in plain.server.model.users if login.startswith("aiw-run-")] == []
    assert copies() == []
    wait_until("the namespace to be gone", lambda: plain.cluster.names("namespaces") == [])
    assert plain.all(Job, Job.state_.in_([JobState.QUEUED, JobState.RUNNING])) == []
    with pytest.raises(NotFound):
        projects.delete_project(project.id, by=plain.max)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["500", "apply_then_500"])
def test_each_kind_of_call_to_the_forge_fails_once(plain: GiteaAndCluster, fault: str) -> None:
    project = busy_project(plain)
    calls = ("GET .*/repos/", "DELETE .*/repos/", "GET .*/users", "DELETE .*/users/")
    plain.server.faults = [Fault(call, fault) for call in calls]
    delete(plain, project)
    assert_gone(plain, project)
    assert [one.match for one in plain.server.faults if not one.has_struck] == []


@pytest.mark.slow
def test_the_rows_stay_while_another_job_of_the_project_is_at_work(plain: GiteaAndCluster) -> None:
    """It may make anew what has been removed, so everything is removed once more after it."""
    project = busy_project(plain)
    forge_changes.read_repository_after_push(project.id)
    (watch,) = plain.all(Job, Job.kind == catalogue.WATCH_REPOSITORY.name, Job.state_ == JobState.QUEUED)
    lease = rows.claim_job(watch.id)
    assert lease is not None
    _shown, deletion = projects.delete_project(project.id, by=plain.max)
    place = plain.repository(project.id)
    plain.run_jobs(until=lambda: plain.server.model.repos == {})
    plain.run_jobs(until=lambda: plain.get(Job, deletion.id).state == JobState.QUEUED)
    assert plain.get(Project, project.id).state == "deleting"

    forge().ensure_repository(place, default_branch="main", description="", import_url=None)
    rows.finish_if_held(lease)
    plain.run_jobs()
    assert_gone(plain, project)


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


def test_a_project_whose_name_a_foreign_repository_has_can_be_deleted(plain: GiteaAndCluster) -> None:
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
