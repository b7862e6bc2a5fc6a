"""A platform whose agents are pods of a cluster. A test module imports the fixtures that it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from common.jobs.catalogue import CATALOGUE, SCHEDULE_TASKS
from common.models import Job, Project, Run, Task
from common.models.agent import Agent
from common.providers.runtime import fleet
from common.services.agent_api import agent_api
from common.settings import settings
from common.transaction import Transaction, transactional
from common.values.states import Outcome
from tests.doubles.kubernetes import ClusterDouble
from tests.workers.platform import Platform

NAMESPACE = "aiw-agents"


@transactional
def wake_worker(tx: Transaction, kind: str) -> None:
    """This job of the platform's runs now, and so does whatever waits for a moment."""
    tx.enqueue(CATALOGUE[kind], "platform", project_id=None)
    waits = update(Job).where(Job.state_ == "queued", Job.next_at > tx.now())
    tx.session.execute(waits.values(next_at=tx.now()).execution_options(synchronize_session=False))


@transactional
def change(tx: Transaction, model: Any, row_id: str, **back: float) -> None:
    """Set times of a row so many seconds back."""
    values = {name: tx.now() - timedelta(seconds=seconds) for name, seconds in back.items()}
    tx.session.execute(update(model).where(model.id == row_id).values(**values))


class Fleet:
    """A platform with one project, and a cluster for its agents."""

    def __init__(self, platform: Platform, cluster: ClusterDouble, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.platform, self.cluster, self._patch = platform, cluster, patch
        self.set(
            AIWORKER_RUNTIME="kubernetes",
            AIWORKER_KUBE_DOMAIN="apps.test",
            AIWORKER_KUBE_IMAGE="registry.test/aiworker:1",
            AIWORKER_INTERNAL_URL="http://web.aiworker.svc:3000",
            AIWORKER_AGENTS_MAX="3",
            AIWORKER_AGENTS_CAPABILITIES="python",
            KUBECONFIG=cluster.kubeconfig(folder),
        )
        self.project: Project = platform.project()

    def set(self, **environ: str) -> None:
        """Set these in the environment, and have the fleet read its settings anew."""
        for name, value in environ.items():
            self._patch.setenv(name, value)
        settings.cache_clear()
        fleet.cache_clear()

    def task(self, title: str = "Work", **values: Any) -> Task:
        return self.platform.task(self.project, title, **values)

    def until(self, holds: Callable[[], object]) -> None:
        """Run jobs, and have the scheduler look, until it holds."""

        def look() -> bool:
            if holds():
                return True
            wake_worker(SCHEDULE_TASKS.name)
            return False

        self.platform.run_jobs(until=look)

    def agents(self, *conditions: Any) -> list[Agent]:
        return self.platform.all(Agent, Agent.state_ != "offline", *conditions)

    def agent(self, agent_id: str) -> Agent:
        found: Agent = self.platform.get(Agent, agent_id)
        return found

    def pods(self) -> list[str]:
        return self.cluster.names("pods", NAMESPACE)

    def _running(self) -> set[str]:
        pods = self.cluster.store.all("pods")
        return {pod["metadata"]["name"] for pod in pods if pod.get("status", {}).get("phase") == "Running"}

    def started(self, *wanted: Task) -> list[Agent]:
        """The agents of these tasks, whose pods run and have been heard of."""
        self.until(lambda: all(self.runs(task, "ready") for task in wanted))
        found = [self.agent(self.runs(task)[-1].agent_id) for task in wanted]
        self.until(lambda: {agent.id for agent in found} <= self._running())
        for agent in found:
            agent_api.record_heartbeat(agent.id, [])
        return found

    def runs(self, task: Task, state: str | None = None) -> list[Run]:
        found = sorted(self.platform.runs(task), key=lambda run: run.created_at)
        return [run for run in found if state in {None, run.state.value}]

    def claim(self, agent: Agent) -> str:
        claimed = agent_api.claim_run(agent.id)
        assert claimed is not None
        agent_api.record_heartbeat(agent.id, [claimed.run.id])
        return claimed.run.id

    def finish(self, run_id: str) -> None:
        agent_api.finish_run(run_id, outcome=Outcome.FAILED, commit_sha=None, summary="", reason="can't be done")


@pytest.fixture
def cluster() -> Iterator[ClusterDouble]:
    with ClusterDouble() as double:
        yield double


@pytest.fixture
def on(
    remote_platform: Platform, cluster: ClusterDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fleet]:
    """Once on SQLite and once on MariaDB."""
    yield Fleet(remote_platform, cluster, tmp_path, monkeypatch)
    fleet.cache_clear()


@pytest.fixture
def plain(
    plain_remote_platform: Platform, cluster: ClusterDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fleet]:
    yield Fleet(plain_remote_platform, cluster, tmp_path, monkeypatch)
    fleet.cache_clear()
