"""What tests do with a platform: people act by services, agents by services and real git, jobs run when told to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from common.jobs.catalogue import RESTORE_RUNTIME
from common.models import Deployment, EventRow, Job, Mark, Project, Question, Run, Task, TaskGroup
from common.models.base import Base
from common.providers.forge import local_forge
from common.services.activity import heartbeat_reception
from common.services.agent_api import agent_api
from common.services.agents import agents
from common.services.delivery import task_groups
from common.services.delivery.task_groups import NewGroup
from common.services.deployment import deployments
from common.services.projects import projects
from common.services.requests.access import Caller
from common.services.tasks import forge_changes, questions, tasks
from common.services.tasks.tasks import NewTask
from common.transaction import Transaction, snapshot, transactional
from common.values.repository import Repository
from common.values.runs.claimed_run import ClaimedRun
from common.values.states import Outcome, Role
from tests.builders import a_user, caller_of
from tests.long_waits import LONG_WAIT_SECONDS
from tests.providers.git_work_tree import WorkTree, git
from tests.providers.runtime_supervisor import Supervisor
from workers import registry

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.1
STEPS = "```steps\n- say: Hello\n```\n"
"""What the platform's own agents can do without a model."""
PAGE = {"index.html": "<h1>first</h1>\n"}


@transactional
def _make_due(tx: Transaction) -> None:
    """What waits for a moment is due now: tests do not sit through waits."""
    tx.session.execute(
        update(Job)
        .where(Job.state_ == "queued", Job.next_at > tx.now())
        .values(next_at=tx.now())
        .execution_options(synchronize_session=False)
    )


class Platform:
    """max: a maintainer. agent_id: an idle agent, made with the first task that is worked on.

    supervisor: None where everything runs in a cluster.
    """

    def __init__(self, folder: Path, supervisor: Supervisor | None) -> None:
        self.folder = folder
        self._supervisor = supervisor
        self.max: Caller = caller_of(a_user("max", Role.MAINTAINER))
        self.agent_id = ""
        self._clones = 0

    @property
    def supervisor(self) -> Supervisor:
        assert self._supervisor is not None, "everything of this platform runs in a cluster"
        return self._supervisor

    # Jobs

    def due(self) -> list[Job]:
        with snapshot() as read:
            query = select(Job).where(Job.state_ == "queued", Job.next_at <= read.now()).order_by(Job.next_at, Job.id)
            return list(read.all(query))

    def run_jobs(self, *, until: Callable[[], bool] | None = None) -> None:
        """Run due jobs until nothing is queued, or `until` holds. Waits between looks are cut short."""
        deadline = time.monotonic() + LONG_WAIT_SECONDS
        pause = FIRST_PAUSE_SECONDS
        while time.monotonic() < deadline:
            if until is not None and until():
                return
            due = self.due()
            for job in due:
                registry.registered[job.kind](job.id)
            if not due:
                with snapshot() as read:
                    waiting = list(read.all(select(Job).where(Job.state_ == "queued")))
                if not waiting and until is None:
                    return
                # What they wait for goes on in other processes: those need the machine more than a loop that asks.
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                _make_due()
        with snapshot() as read:
            left = [(job.kind, job.state, job.error) for job in read.all(select(Job).where(Job.state_ != "done"))]
        raise AssertionError(f"the jobs did not come to an end in {LONG_WAIT_SECONDS:.0f} s: {left}")

    # People

    def project(self, files: Mapping[str, str] = PAGE, **values: Any) -> Project:
        """An active project whose default branch holds these files."""
        seconds = {"preview": 0, "staging": 0, "production": 0}
        name = f"Project {len(self.all(Project)) + 1}"
        # A second run of the tests of each task takes time: only where a test asks for it.
        made = projects.create_project(
            {"name": name, "health_seconds": seconds, "coverage": "read", **values}, by=self.max
        ).project
        self.run_jobs()
        tree = self.clone(made)
        tree.commit(files, on="main")
        tree.push("main")
        return self.get(Project, made.id)

    def task(self, project: Project, title: str = "Greet", **values: Any) -> Task:
        return tasks.create_task(NewTask(project.id, title, **{"description": STEPS, **values}), by=self.max)

    def group(self, *members: Task, **values: Any) -> TaskGroup:
        new = NewGroup(members[0].project_id, [task.id for task in members], **values)
        return task_groups.create_task_group(new, by=self.max).group

    def answer(self, question: Question, response: str) -> None:
        questions.answer_question(question.task_id, question.id, response, by=self.max)

    def approved(self, project: Project, title: str, files: Mapping[str, str | None]) -> Task:
        """A task whose work was done, proven and approved."""
        task = self.ready(project, title, files)
        return tasks.approve_task(task.id, by=self.max)

    def ready(self, project: Project, title: str, files: Mapping[str, str | None]) -> Task:
        task = self.task(project, title)
        self.work(task, files)
        task = self.get(Task, task.id)
        assert task.state == "ready_to_test", (task.state, task.phase, task.error)
        return task

    def staged(self, *members: Task, **values: Any) -> TaskGroup:
        """A group of them that runs on staging."""
        group = self.group(*members, target_branch="production", **values)
        self.run_jobs()
        return self.get(TaskGroup, group.id)

    def to_production(self, group: TaskGroup) -> TaskGroup:
        head = local_forge().read_head(self.repository(group.project_id), "main")
        task_groups.deploy_to_production(group.id, default_head=head, by=self.max)
        self.run_jobs()
        return self.get(TaskGroup, group.id)

    def rollback(self, deployment_id: str) -> Deployment:
        made, _job, _tasks = deployments.rollback_deployment(deployment_id, to_deployment_id=None, by=self.max)
        self.run_jobs()
        return self.get(Deployment, made.id)

    def poll_repository(self, project: Project) -> None:
        """As after a push that the forge told of."""
        forge_changes.read_repository_after_push(project.id)
        self.run_jobs()

    def restore(self) -> None:
        """Have what runs compared with what should."""
        _restore()

    # The agent

    def agent(self, **values: Any) -> str:
        """A new idle agent."""
        about = {"pod_name": "pod", "capabilities": [], "driver": "scripted", "version": "1", "slots": 1, **values}
        agent, _token = agent_api.register_agent(**about)
        agent_api.record_heartbeat(agent.id, [])
        return agent.id

    def claim(self) -> ClaimedRun:
        """Whatever the scheduler gives the agent next."""
        if not self.agent_id:
            self.agent_id = self.agent()
        agent_api.record_heartbeat(self.agent_id, [])
        self.run_jobs()
        claimed = agent_api.claim_run(self.agent_id)
        assert claimed is not None, "the agent was given nothing"
        agent_api.record_heartbeat(self.agent_id, [claimed.run.id])
        return claimed

    def push(self, claimed: ClaimedRun, files: Mapping[str, str | None]) -> str:
        """A commit with these changes on the task's branch, at the forge. Returns its SHA."""
        tree = self.clone(claimed.project)
        branch = claimed.task.branch_name
        git("checkout", "--quiet", "-B", branch, f"origin/{branch}", at=tree.path)
        sha = tree.commit(files, on=branch)
        tree.push(branch)
        return sha

    def finish(self, claimed: ClaimedRun, sha: str | None, outcome: Outcome = Outcome.COMPLETED) -> None:
        agent_api.finish_run(claimed.run.id, outcome=outcome, commit_sha=sha, summary="done", reason=None)

    def work(self, task: Task, files: Mapping[str, str | None]) -> str:
        """The agent does the task: claims, pushes, finishes; then jobs run until the platform has made up its mind."""
        claimed = self.claim()
        assert claimed.task.id == task.id
        sha = self.push(claimed, files)
        self.finish(claimed, sha)
        self.run_jobs()
        return sha

    # Looking

    def get(self, model: type[Any], row_id: str) -> Any:
        with snapshot() as read:
            row = read.get(model, row_id)
            assert row is not None
            return row

    def all(self, model: type[Any], *conditions: Any) -> list[Any]:
        with snapshot() as read:
            return list(read.all(select(model).where(*conditions)))

    def runs(self, task: Task) -> list[Run]:
        return self.all(Run, Run.task_id == task.id)

    def events(self, project: Project) -> list[str]:
        """The names of what was recorded, in order; that the numbers have no gap is checked."""
        rows = self.all(EventRow, EventRow.feed_id == project.id)
        rows.sort(key=lambda row: row.seq)
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        return [row.name for row in rows]

    def repository(self, project_id: str) -> Repository:
        project = self.get(Project, project_id)
        return Repository(project.repository_owner, project.slug, project.id)

    def clone(self, project: Project) -> WorkTree:
        self._clones += 1
        path = local_forge().repository_path(self.repository(project.id))
        return WorkTree(self.folder / f"clone-{self._clones}", str(path))

    @contextmanager
    def without_repository(self, project: Project) -> Iterator[None]:
        """Meanwhile the forge does not have the project's repository."""
        path = local_forge().repository_path(self.repository(project.id))
        path.rename(path.with_name("away"))
        yield
        path.with_name("away").rename(path)

    def silence(self, model: type[Base], row_id: str, seconds: float) -> None:
        """As if nothing had been heard of it for that long."""
        _age(model, row_id, seconds)

    def silence_web(self, seconds: float) -> None:
        """As if no web process had given a sign for that long."""
        _age_sign(seconds)

    def expire(self) -> int:
        return agents.expire_agents()


@transactional
def _restore(tx: Transaction) -> None:
    tx.enqueue(RESTORE_RUNTIME, "platform", project_id=None)


@transactional
def _age(tx: Transaction, model: type[Base], row_id: str, seconds: float) -> None:
    row: Any = tx.get(model, row_id)
    row.seen_at = tx.now() - timedelta(seconds=seconds)


@transactional
def _age_sign(tx: Transaction, seconds: float) -> None:
    heartbeat_reception.note_heartbeats_taken()
    mark: Any = tx.session.get(Mark, "hearing")
    mark.at = tx.now() - timedelta(seconds=seconds)
