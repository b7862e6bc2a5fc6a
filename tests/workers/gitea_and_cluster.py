"""The platform of the tests with its repositories on a Gitea server and everything that runs in a cluster (doubles)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from common.models import Job, Project, TaskGroup
from common.providers.forge import forge, gitea_forge
from common.providers.runtime import runtime
from common.services.delivery import task_groups
from common.settings import settings
from common.transaction import Transaction, transactional
from tests.doubles.gitea import GiteaDouble, basic
from tests.doubles.gitea.model import Repo
from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.node import Node
from tests.doubles.settings import settings_of
from tests.providers.git_work_tree import WorkTree
from tests.workers.platform import Platform


class GiteaAndCluster(Platform):
    """The platform, which clones as the server's administrator."""

    def __init__(self, platform: Platform, server: GiteaDouble, cluster: ClusterDouble) -> None:
        # The same people, the same agent, the same database.
        vars(self).update(vars(platform))
        self.server, self.cluster = server, cluster

    def clone(self, project: Project, *, login: str | None = None) -> WorkTree:
        """login: a person's of the server; the administrator's without it."""
        self._clones += 1
        user = self.server.model.users[login] if login else self.server.admin
        address = basic(forge().read_clone_url(self.repository(project.id)), user.login, user.password)
        return WorkTree(self.folder / f"clone-{self._clones}", address)

    def to_production(self, group: TaskGroup) -> TaskGroup:
        head = forge().read_head(self.repository(group.project_id), "main")
        task_groups.deploy_to_production(group.id, default_head=head, by=self.max)
        self.run_jobs()
        found: TaskGroup = self.get(TaskGroup, group.id)
        return found

    def wait_longer(self, hours: float) -> None:
        """Have what waits for a provider wait for that much longer already."""
        _wait_longer(hours)

    def repo(self, project: Project) -> Repo:
        """The project's repository as the server has it."""
        return self.server.repo(project.repository_owner, project.slug)


@transactional
def _wait_longer(tx: Transaction, hours: float) -> None:
    for job in tx.all(select(Job).where(Job.unavailable_since.is_not(None))):
        assert job.unavailable_since is not None
        job.unavailable_since -= timedelta(hours=hours)


@contextlib.contextmanager
def on_gitea_and_cluster(
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    *,
    folder: Path,
    speed: float = 200.0,
    node: Node | None = None,
    **environ: str,
) -> Iterator[GiteaAndCluster]:
    """speed: of the cluster's clock. node: what really runs pods.
    environ: more settings."""
    folder.mkdir()
    server = GiteaDouble(folder)
    with ClusterDouble(speed=speed, node=node) as cluster:
        for name, value in (settings_of(server, cluster, folder) | environ).items():
            monkeypatch.setenv(name, value)
        _forget()
        made = GiteaAndCluster(platform, server, cluster)
        yield made
        platform.agent_id, platform._clones = made.agent_id, made._clones
        gitea_forge().close()
        _forget()
        server.close()
    assert server.violations == []


def _forget() -> None:
    for cached in (settings, gitea_forge, runtime):
        cached.cache_clear()
