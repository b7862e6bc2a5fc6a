"""A project whose versions reach production by the real services, on a real repository, without a runtime.

What a forge and a runtime would report is said by the test: a version is healthy, the default branch moves.
"""

from __future__ import annotations

from typing import Any

from common.jobs.catalogue import RESTORE_RUNTIME, Lease
from common.models import Deployment, Job, Task, TaskGroup
from common.providers.forge import local_forge
from common.services.activity import jobs as rows
from common.services.delivery import merging
from common.services.deployment import restoring, rollouts
from common.services.deployment.receipt_contents import LiveVersionFacts
from common.transaction import Transaction, transactional
from common.values.delivery.rollback_barrier import Barrier
from common.values.states import Environment
from tests.providers.git_work_tree import git
from tests.web.world import World, all_of, get, head_of, put, repository_of


class ProductionLine:
    """project: an active one with a repository. Every delivered version is one commit more on its default branch."""

    def __init__(self, world: World, name: str = "Demo") -> None:
        self.world = world
        self.project = world.project(name, has_repository=True)
        self.path = local_forge().repository_path(repository_of(self.project))
        self._tree = git("rev-parse", f"{head_of(self.project)}^{{tree}}", at=self.path).strip()

    def task(self, title: str = "Greet", **values: Any) -> str:
        """An approved task."""
        return self.world.task(self.project, title, state="approved", **values).id

    def merged(self, *task_ids: str, **values: Any) -> str:
        """The id of a group, of a task of its own unless they are named, that was merged and tested."""
        group_id: str = self.world.group(self.project, list(task_ids) or [self.task()], **values)["id"]
        base = head_of(self.project)
        tested = git("commit-tree", self._tree, "-p", base, "-m", group_id, at=self.path).strip()
        put(TaskGroup, group_id, state_="merged", base_sha=base, head_sha=tested, tested_sha=tested)
        return group_id

    def staged(self, *task_ids: str, **values: Any) -> str:
        """As merged; it runs on staging, too."""
        group_id = self.merged(*task_ids, **values)
        self.after_merge(group_id)
        if get(TaskGroup, group_id).state == "merged":
            reply = self.act(group_id, "deploy-staging", **_accepted(values))
            assert reply.status_code == 202, reply.json
        self.go_live(self.under_way(Environment.STAGING).id)
        return group_id

    def act(self, group_id: str, verb: str, **body: Any) -> Any:
        return self.world.app_client().post(f"/api/task-groups/{group_id}/{verb}", json=body)

    def deliver(self, *task_ids: str, barrier: Barrier | None = None, **values: Any) -> Deployment:
        """A group of these tasks is in production. Returns its deployment."""
        group_id = self.staged(*task_ids, **values)
        reply = self.act(group_id, "deploy-production", **_accepted(values))
        assert reply.status_code == 202, reply.json
        return self.go_live(self.under_way().id, barrier=barrier)

    def ask_back(self, to: Deployment | None = None) -> Any:
        """The reply to rolling production back."""
        body = {} if to is None else {"toDeploymentId": to.id}
        return self.world.app_client().post(f"/api/deployments/{self.live().id}/rollback", json=body)

    def roll_back(self, to: Deployment | None = None) -> Deployment:
        reply = self.ask_back(to)
        assert reply.status_code == 202, reply.json
        return self.go_live(reply.json["rollbackDeploymentId"])

    def go_live(self, deployment_id: str, *, barrier: Barrier | None = None) -> Deployment:
        """Its job finds it healthy, and moves the default branch if it has to."""
        lease = claimed("deployment.deploy", deployment_id)
        plan = rollouts.begin_rollout(lease)
        assert plan is not None
        if plan.advance_from is not None:
            git("update-ref", f"refs/heads/{self.project.default_branch}", plan.version.commit, at=self.path)
        rollouts.record_live(lease, url="http://localhost:4000", barrier=barrier, served=LiveVersionFacts(self._tree))
        made: Deployment = get(Deployment, deployment_id)
        assert made.state == "completed"
        return made

    def die(self) -> Deployment | None:
        """What is live does not stay up. Returns the rollback that this brought about, None if there is none."""
        started = self.look_at_dying()
        return self.go_live(started.id) if started else None

    def look_at_dying(self) -> Deployment | None:
        """What is live does not stay up. Returns the rollback that is under way then, None if there is none."""
        dying = self.live()
        ring_restore()
        restoring.record_restored(
            claimed(RESTORE_RUNTIME.name, "platform"),
            [restoring.FailingVersion(dying.id, "it keeps dying", "keeps_dying")],
        )
        started = all_of(Deployment, Deployment.rollback_of == dying.id, Deployment.active_key.is_not(None))
        return started[0] if started else None

    def fail(self, deployment: Deployment, reason: str) -> None:
        """Its job finds that the version never becomes healthy."""
        lease = claimed("deployment.deploy", deployment.id)
        assert rollouts.begin_rollout(lease) is not None
        rollouts.record_failed(lease, code="not_healthy", reason=reason)

    def after_merge(self, group_id: str) -> None:
        """The job of a merged group goes on by itself."""
        lease = claimed("group.merge", group_id)
        if merging.begin_merge(lease) is None:
            rows.finish_if_held(lease)
        else:
            merging.record_staging(lease)

    def under_way(self, environment: Environment = Environment.PRODUCTION) -> Deployment:
        (found,) = all_of(Deployment, Deployment.active_key == f"{self.project.id}:{environment.value}")
        return found  # type: ignore[no-any-return]

    def live(self) -> Deployment:
        (found,) = all_of(Deployment, Deployment.live_key == f"{self.project.id}:production")
        return found  # type: ignore[no-any-return]

    def rolled_back(self, task_id: str) -> bool:
        """As the API shows it, which says the same of the task and of its group."""
        shown = self.world.client.get(f"/api/tasks/{task_id}").json["task"]["rolledBackAt"]
        assert get(Task, task_id).rolled_back_at is not None or shown is None
        return shown is not None


def _accepted(values: dict[str, Any]) -> dict[str, Any]:
    return {"acceptRolledBack": True} if values.get("acceptRolledBack") else {}


def claimed(kind: str, subject_id: str) -> Lease:
    """The queued job of this kind, as a worker has it."""
    (job,) = all_of(Job, Job.kind == kind, Job.subject_id == subject_id, Job.state_ == "queued")
    lease = rows.claim_job(job.id)
    assert lease is not None
    return lease


@transactional
def ring_restore(tx: Transaction) -> None:
    tx.enqueue(RESTORE_RUNTIME, "platform", project_id=None)
