"""Which statuses of a commit count as the repository's CI: by who set them, and never more than Actions' jobs say."""

from __future__ import annotations

import pytest
import requests

from common.providers.forge.gitea import GiteaForge
from common.values.delivery.commit_status import CommitStatus, StatusState
from common.values.repository import Credential, Repository
from tests.doubles.gitea import GiteaDouble
from tests.doubles.gitea.model import Repo, User
from tests.providers.test_forge_gitea import OLD, forge, repository, server, version, work

__all__ = ["forge", "repository", "server", "version", "work"]

CI = "ci/build"
JOB = "CI / build (push)"


class Commit:
    """The head of main on the server, and somebody who sets statuses on it."""

    def __init__(self, forge: GiteaForge, server: GiteaDouble, repository: Repository) -> None:
        self.forge, self.server, self.repository = forge, server, repository
        self.sha = forge.read_head(repository, "main") or ""
        self.repo: Repo = server.repo(repository.owner, repository.name)
        self.bot: User = server.person("ci-bot", writes=(repository.owner, repository.name))

    def set(self, context: str, state: str, *, by: User | None, **about: str) -> None:
        self.server.set_status(self.repo, self.sha, context, state, by=by, **about)

    def read(self) -> dict[str, StatusState]:
        found = self.forge.read_ci_statuses(self.repository, commit=self.sha)
        return {status.context: status.state for status in found}


def made(forge: GiteaForge, server: GiteaDouble, repository: Repository) -> Commit:
    return Commit(forge, server, repository)


def post_as_run(commit: Commit, credential: Credential, state: str, context: str) -> int:
    """What a run does with the credential it was given: the server lets it."""
    path = f"repos/{commit.repository.owner}/{commit.repository.name}/statuses/{commit.sha}"
    return requests.post(
        f"{commit.server.url}/api/v1/{path}",
        json={"context": context, "state": state},
        auth=(credential.username, credential.password),
        timeout=30,
    ).status_code


def test_a_status_is_read_with_who_set_it(forge: GiteaForge, server: GiteaDouble, repository: Repository) -> None:
    commit = made(forge, server, repository)
    commit.set(CI, "failure", by=commit.bot, description="2 \x1b[31mfailed\n", target_url="https://ci.example.org/7")

    assert forge.read_ci_statuses(repository, commit=commit.sha) == (
        CommitStatus(CI, StatusState.FAILURE, "2 failed", "https://ci.example.org/7", "ci-bot"),
    )


@pytest.mark.slow
def test_a_runs_user_counts_neither_before_nor_after_its_removal(
    forge: GiteaForge, server: GiteaDouble, repository: Repository
) -> None:
    commit = made(forge, server, repository)
    commit.set(CI, "failure", by=commit.bot)
    credential = forge.ensure_credential(repository, branch="task-1", run_id="run-1")
    assert [post_as_run(commit, credential, "success", context) for context in (CI, JOB)] == [201, 201]

    assert commit.read() == {CI: "failure"}
    while not forge.delete_credential(repository, run_id="run-1"):
        pass
    assert credential.username not in server.model.users
    assert commit.read() == {CI: "failure"}


@pytest.mark.slow
def test_a_status_of_actions_counts_as_its_job_ended(
    forge: GiteaForge, server: GiteaDouble, repository: Repository
) -> None:
    commit = made(forge, server, repository)
    commit.set(JOB, "pending", by=None)
    assert commit.read() == {JOB: "pending"}
    for status in ("running", "failure", "success"):
        server.run_job(commit.repo, commit.sha, "CI", "build", status)
        assert commit.read() == {JOB: {"running": "pending"}.get(status, status)}

    (found,) = forge.read_ci_statuses(repository, commit=commit.sha)
    assert found.creator is None
    assert (found.target_url or "").startswith(f"{server.url}/aiworker/shop/actions/runs/")


def test_a_removed_user_can_say_nothing_that_actions_does_not(
    forge: GiteaForge, server: GiteaDouble, repository: Repository
) -> None:
    commit = made(forge, server, repository)
    server.run_job(commit.repo, commit.sha, "CI", "build", "failure")
    server.run_job(commit.repo, commit.sha, "Lint", "style", "success")
    server.run_job(commit.repo, "2" * 40, "CI", "test", "success")
    for context in (JOB, "CI / test (push)", "CI / build (pull_request)", CI):
        commit.set(context, "success", by=None)
    commit.set("ci/other", "success", by=commit.bot)
    for state in ("pending", "failure", "skipped"):
        commit.set("ci/other", state, by=None)

    assert commit.read() == {JOB: "failure", "Lint / style (push)": "success", "ci/other": "success"}


class TestAnOldServer:
    @pytest.fixture
    def version(self) -> str:
        return OLD

    def test_statuses_of_users_count_and_those_of_nobody_only_as_pending(
        self, forge: GiteaForge, server: GiteaDouble, repository: Repository
    ) -> None:
        commit = made(forge, server, repository)
        commit.set(CI, "success", by=commit.bot)
        commit.set(JOB, "success", by=None)
        commit.set("CI / test (push)", "pending", by=None)

        assert commit.read() == {CI: "success", "CI / test (push)": "pending"}
