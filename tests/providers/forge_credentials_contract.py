"""What the credential of a run is good for on every Gitea, and for how long. Taken like ForgeContract."""

from __future__ import annotations

from pathlib import Path

from common.providers.forge import Forge
from common.values.repository import Credential, Repository
from tests.doubles.gitea import basic
from tests.providers.git_work_tree import WorkTree, git


def address(forge: Forge, repository: Repository, credential: Credential) -> str:
    return basic(forge.read_clone_url(repository), credential.username, credential.password)


class CredentialsContract:
    def test_a_run_pushes_its_own_branch_alone(self, forge: Forge, repository: Repository, tmp_path: Path) -> None:
        head = forge.read_head(repository, "main") or ""
        forge.ensure_protection(repository)
        for branch in ("staging", "release/x"):
            forge.advance(repository, branch, old=None, new=head)
        for branch in ("task-1", "task-2"):
            forge.ensure_branch(repository, branch, at=head)
        ours = forge.ensure_credential(repository, branch="task-1", run_id=f"{repository.name}-1")
        forge.ensure_credential(repository, branch="task-2", run_id=f"{repository.name}-2")
        tree = WorkTree(tmp_path / "run", address(forge, repository, ours))
        commit = tree.commit({"a": "a"}, on="task-1")

        tree.push("task-1")
        for refspec in ("task-1:main", "task-1:task-2", "task-1:staging", "task-1:release/x", ":main", ":task-2"):
            tree.push(refspec, accept=(1, 128))

        assert forge.read_head(repository, "task-1") == commit
        for branch in ("main", "task-2", "staging", "release/x"):
            assert forge.read_head(repository, branch) == head, branch

    def test_a_run_that_reads_pushes_nothing(self, forge: Forge, repository: Repository, tmp_path: Path) -> None:
        head = forge.read_head(repository, "main") or ""
        for branch in ("task-1", "task-2"):
            forge.ensure_branch(repository, branch, at=head)
        for _ in range(2):
            run_id = f"{repository.name}-1"
            reader = forge.ensure_credential(repository, branch="task-1", run_id=run_id, may_push=False)
        tree = WorkTree(tmp_path / "run", address(forge, repository, reader))
        tree.commit({"a": "a"}, on="task-1")
        for refspec in ("task-1", "task-1:main", "task-1:task-2", "task-1:new", ":task-2"):
            tree.push(refspec, accept=(1, 128))
        assert forge.read_head(repository, "task-1") == forge.read_head(repository, "task-2") == head
        assert forge.read_head(repository, "new") is None

    def test_a_run_that_is_over_neither_pushes_nor_reads(
        self, forge: Forge, repository: Repository, tmp_path: Path
    ) -> None:
        run_id, head = f"{repository.name}-1", forge.read_head(repository, "main") or ""
        forge.ensure_branch(repository, "task-1", at=head)
        url = address(forge, repository, forge.ensure_credential(repository, branch="task-1", run_id=run_id))
        tree = WorkTree(tmp_path / "run", url)
        tree.commit({"a": "a"}, on="task-1")

        for _ in range(2):
            forge.delete_credential(repository, run_id=run_id)
            tree.push("task-1", accept=(1, 128))
            git("ls-remote", url, accept=(128,))

        assert forge.read_head(repository, "task-1") == head

    def test_a_credential_that_was_made_again_is_good(self, forge: Forge, repository: Repository) -> None:
        for _ in range(2):
            credential = forge.ensure_credential(repository, branch="main", run_id=f"{repository.name}-1")
            assert git("ls-remote", address(forge, repository, credential))
