"""What every forge must do with pull requests. Taken like ForgeContract, with the same fixtures."""

from __future__ import annotations

from common.providers.forge import Forge
from common.values.delivery.pull_request import PullRequest, PullState
from common.values.repository import Repository
from tests.providers.forge_contract import twice
from tests.providers.git_work_tree import WorkTree


class PullsContract:
    def test_two_branches_have_one_pull_request(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        commit = work.commit({"a": "a"}, on="task-1")
        work.push("task-1")

        pull = twice(lambda: forge.ensure_pull_request(repository, head="task-1", base="main", title="A", body="Why"))

        assert (pull.head, pull.base, pull.head_sha, pull.state) == ("task-1", "main", commit, PullState.OPEN)
        assert pull.url.endswith(f"/pulls/{pull.number}")
        renamed = forge.ensure_pull_request(repository, head="task-1", base="main", title="B", body="Why")
        assert (renamed.number, renamed.title) == (pull.number, "B")
        assert twice(lambda: forge.read_pull_request(repository, pull.number)) == renamed
        assert forge.read_pull_request(repository, pull.number + 1) is None

    def test_what_no_run_closed_is_not_opened_again(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        work.commit({"a": "a"}, on="task-1")
        work.push("task-1")
        number = forge.ensure_pull_request(repository, head="task-1", base="main", title="A", body="").number
        states = []
        for _ in range(2):
            twice(lambda: forge.reopen_pull_request(repository, number, head="task-1"))
            pull = forge.read_pull_request(repository, number)
            states.append(None if pull is None else pull.state)
            forge.close_pull_request(repository, number, head="task-1")

        assert states == [PullState.OPEN, PullState.CLOSED]

    def test_a_merged_pull_request_says_by_which_commit(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        commit = work.commit({"a": "a"}, on="task-1")
        work.push("task-1")
        number = forge.ensure_pull_request(repository, head="task-1", base="main", title="A", body="").number
        forge.advance(repository, "main", old=forge.read_head(repository, "main"), new=commit)

        twice(lambda: forge.close_pull_request(repository, number, head="task-1", merged_commit=commit))
        # The local forge refuses to delete branches; Gitea deletes this one.
        work.push(":task-1", accept=(0, 1))

        pull = forge.read_pull_request(repository, number)
        assert pull is not None
        assert (pull.state, pull.merged_commit, pull.head_sha) == (PullState.MERGED, commit, commit)

    def test_a_closed_pull_request_can_be_opened_again(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        work.commit({"a": "a"}, on="task-1")
        work.push("task-1")
        number = forge.ensure_pull_request(repository, head="task-1", base="main", title="A", body="").number
        twice(lambda: forge.close_pull_request(repository, number, head="task-1"))
        closed = forge.read_pull_request(repository, number)
        assert closed is not None
        assert closed.state is PullState.CLOSED

        again = forge.ensure_pull_request(repository, head="task-1", base="main", title="A", body="")

        assert (again.number, again.state) == (number, PullState.OPEN)

    def test_an_open_pull_request_is_found_by_its_branches(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        for branch in ("task-1", "task-2"):
            work.commit({branch: "a"}, on=branch, start="main")
            work.push(branch)
        forge.ensure_pull_request(repository, head="task-1", base="main", title="A", body="")
        pull = forge.ensure_pull_request(repository, head="task-2", base="main", title="B", body="")

        def find(head: str, base: str) -> PullRequest | None:
            return twice(lambda: forge.find_pull_request(repository, head=head, base=base))

        assert find("task-2", "main") == pull
        assert [find("task-3", "main"), find("task-2", "task-1")] == [None, None]
        forge.close_pull_request(repository, pull.number, head="task-2")
        assert find("task-2", "main") is None

    def test_a_pull_request_of_another_branch_is_not_closed(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        commit = work.commit({"a": "a"}, on="task-1")
        work.push("task-1")
        number = forge.ensure_pull_request(repository, head="task-1", base="main", title="A", body="").number

        for merged_commit in (None, commit):
            forge.close_pull_request(repository, number, head="task-2", merged_commit=merged_commit)

        pull = forge.read_pull_request(repository, number)
        assert pull is not None
        assert pull.state is PullState.OPEN

    def test_the_platforms_comment_is_not_a_persons(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        work.commit({"a": "a"}, on="task-1")
        work.push("task-1")
        number = forge.ensure_pull_request(repository, head="task-1", base="main", title="A", body="").number

        twice(lambda: forge.ensure_comment(repository, number, key="checks", body="All passed"))

        assert twice(lambda: forge.read_comments(repository, number)) == []
