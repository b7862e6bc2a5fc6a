"""What every forge must do, whichever serves: each verb is called twice, for an answer may always be lost.

A test class takes these methods by inheriting from ForgeContract; its module gives the fixtures `forge` (the forge),
`repository` (a repository that exists, started with a README.md) and `work` (a clone that may push).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from common.errors import ProviderRefused
from common.providers.forge import Forge
from common.values.names import RECEIPTS_REF
from common.values.repository import Repository
from tests.providers.git_work_tree import WorkTree, git

T = TypeVar("T")

NOWHERE = "1234567890" * 4


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(ProviderRefused) as refusal:
        yield
    assert refusal.value.code == code


def twice(act: Callable[[], T]) -> T:
    first = act()
    assert act() == first
    return first


class ForgeContract:
    def test_a_repository_starts_with_one_commit(self, forge: Forge, repository: Repository) -> None:
        twice(forge.ping)
        state = twice(
            lambda: forge.ensure_repository(repository, default_branch="main", description="A shop", import_url=None)
        )

        assert state.default_branch == twice(lambda: forge.read_default_branch(repository)) == "main"
        assert state.url.endswith(f"/{repository.owner}/{repository.name}")
        assert forge.read_head(repository, "main") == state.default_head
        assert b"A shop" in (forge.read_file(repository, commit=state.default_head, path="README.md") or b"")

    def test_what_belongs_to_a_project_is_not_offered(self, forge: Forge, repository: Repository) -> None:
        found = twice(lambda: forge.read_importable("", page=1))

        assert found is None or f"{repository.owner}/{repository.name}" not in {offer.name for offer in found.offers}

    def test_a_repository_of_another_project_is_refused(self, forge: Forge, repository: Repository) -> None:
        foreign = Repository(repository.owner, repository.name, "another-project")

        for _ in range(2):
            with refused("foreign"):
                forge.ensure_repository(foreign, default_branch="main", description="", import_url=None)
            with refused("foreign"):
                forge.delete_repository(foreign)
        assert forge.read_head(repository, "main") is not None

    def test_a_deleted_repository_is_gone(self, forge: Forge, repository: Repository) -> None:
        twice(lambda: forge.delete_repository(repository))

        with refused("no_repository"):
            forge.read_head(repository, "main")

    def test_a_branch_starts_where_it_is_told(self, forge: Forge, repository: Repository) -> None:
        head = forge.read_head(repository, "main") or ""

        assert twice(lambda: forge.ensure_branch(repository, "task-1", at=head)) == head
        assert forge.read_head(repository, "task-1") == head

    def test_a_branch_that_exists_is_not_moved(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        start = forge.ensure_branch(repository, "task-1", at=forge.read_head(repository, "main") or "")
        pushed = work.commit({"a": "a"}, on="task-1")
        work.push("task-1")

        assert twice(lambda: forge.ensure_branch(repository, "task-1", at=start)) == pushed

    def test_a_branch_at_an_unknown_commit_is_refused(self, forge: Forge, repository: Repository) -> None:
        for at in (NOWHERE, "main", "--all", ""):
            with refused("no_commit"):
                forge.ensure_branch(repository, "task-1", at=at)
        assert forge.read_head(repository, "task-1") is None

    def test_a_pushed_commit_is_the_head_at_once(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        commit = work.commit({"a": "a"}, on="feature/häuser")
        work.push("feature/häuser")

        assert twice(lambda: forge.read_head(repository, "feature/häuser")) == commit

    @pytest.mark.parametrize(
        "name",
        ["--upload-pack=x", "a..b", "a b", "refs/heads/main", "", "a.lock"],
    )
    def test_a_name_that_is_no_branch_is_refused(self, forge: Forge, repository: Repository, name: str) -> None:
        head = forge.read_head(repository, "main") or ""

        with pytest.raises(ProviderRefused):
            forge.ensure_branch(repository, name, at=head)
        with pytest.raises(ProviderRefused):
            forge.advance(repository, name, old=None, new=head)
        with pytest.raises(ProviderRefused):
            forge.ensure_tag(repository, name, at=head)

    def test_a_branch_advances_only_from_where_it_was_seen(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        old = forge.read_head(repository, "main") or ""
        new = work.commit({"a": "a"}, on="task-1")
        other = work.commit({"b": "b"}, on="task-2", start=old)
        work.push("task-1", "task-2")

        twice(lambda: forge.advance(repository, "main", old=old, new=new))

        assert forge.read_head(repository, "main") == new
        with refused("head_moved"):
            forge.advance(repository, "main", old=old, new=other)
        with refused("not_fast_forward"):
            forge.advance(repository, "main", old=new, new=other)
        with refused("not_fast_forward"):
            forge.advance(repository, "main", old=new, new=other, force=True)
        assert forge.read_head(repository, "main") == new

    def test_the_platforms_own_pointer_may_go_anywhere(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        start = forge.read_head(repository, "main") or ""
        one = work.commit({"a": "a"}, on="task-1")
        work.push("task-1")
        twice(lambda: forge.advance(repository, "staging", old=None, new=one))

        twice(lambda: forge.advance(repository, "staging", old=one, new=start, force=True))

        assert forge.read_head(repository, "staging") == start

    def test_a_tag_stays_where_it_is(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        start = forge.read_head(repository, "main") or ""
        other = work.commit({"a": "a"}, on="task-1")
        work.push("task-1")

        twice(lambda: forge.ensure_tag(repository, "v1", at=start))

        with refused("tag_moved"):
            forge.ensure_tag(repository, "v1", at=other)
        assert start in git("ls-remote", "origin", "refs/tags/v1", at=work.path)

    def test_a_commit_has_one_note_that_can_be_replaced(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        start = forge.read_head(repository, "main") or ""
        other = work.commit({"a": "a"}, on="task-1")
        work.push("task-1")

        twice(lambda: forge.ensure_note(repository, commit=start, text="one\n"))
        twice(lambda: forge.ensure_note(repository, commit=other, text="two\n"))
        twice(lambda: forge.ensure_note(repository, commit=start, text="one\nmore häuser\n"))

        assert self._notes(work) == {start: "one\nmore häuser", other: "two"}

    def _notes(self, work: WorkTree) -> dict[str, str]:
        """Every note as a clone has it, by its commit."""
        git("fetch", "--quiet", "--force", "origin", f"{RECEIPTS_REF}:{RECEIPTS_REF}", at=work.path)
        listed = git("notes", f"--ref={RECEIPTS_REF}", "list", at=work.path).splitlines()
        shas = [line.split()[1] for line in listed]
        return {sha: git("notes", f"--ref={RECEIPTS_REF}", "show", sha, at=work.path) for sha in shas}

    def test_a_tree_is_named(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        head = forge.read_head(repository, "main") or ""

        assert twice(lambda: forge.read_tree(repository, head)) == git("rev-parse", f"{head}^{{tree}}", at=work.path)

    def test_platform_branches_are_protected_from_pushes(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        twice(lambda: forge.ensure_protection(repository))
        work.commit({"a": "a"}, on="release/sprint-1")

        work.push("release/sprint-1", accept=(1, 128))

        assert forge.read_head(repository, "release/sprint-1") is None

    def test_a_status_can_be_set_again(self, forge: Forge, repository: Repository) -> None:
        head = forge.read_head(repository, "main") or ""

        def set_status() -> None:
            forge.ensure_status(
                repository, commit=head, context="aiworker/tests", state="success", description="12 passed",
                target_url=None,
            )  # fmt: skip

        twice(set_status)
        with refused("no_commit"):
            forge.ensure_status(
                repository, commit=NOWHERE, context="x", state="success", description="", target_url=None
            )

    def test_the_platforms_own_statuses_are_not_the_repositorys_ci(self, forge: Forge, repository: Repository) -> None:
        head = forge.read_head(repository, "main") or ""
        forge.ensure_status(
            repository, commit=head, context="ci", state="success", description="12 passed", target_url=None
        )

        assert [forge.read_ci_statuses(repository, commit=head) for _ in range(2)] == [(), ()]
        with refused("no_commit"):
            forge.read_ci_statuses(repository, commit=NOWHERE)

    def test_a_credential_is_made_and_deleted_again(self, forge: Forge, repository: Repository) -> None:
        made = [forge.ensure_credential(repository, branch="task-1", run_id="run-1") for _ in range(2)]

        assert all(credential.username and credential.password for credential in made)
        is_gone = [forge.delete_credential(repository, run_id="run-1") for _ in range(3)]
        # What is left of it after the first time is left for the server's sake.
        assert is_gone[1:] == [True, True]

    def test_a_webhook_can_be_ensured_again(self, forge: Forge, repository: Repository) -> None:
        twice(lambda: forge.ensure_webhook(repository))

    def test_it_says_where_to_clone_from(self, forge: Forge, repository: Repository) -> None:
        assert twice(lambda: forge.read_source(repository)).clone_url
        assert repository.name in twice(lambda: forge.read_clone_url(repository))

    def test_every_verb_refuses_a_repository_that_is_not_there(self, forge: Forge, repository: Repository) -> None:
        absent = Repository(repository.owner, "absent", repository.project_id)
        verbs: list[Callable[[], object]] = [
            lambda: forge.ensure_branch(absent, "a", at=NOWHERE),
            lambda: forge.read_head(absent, "a"),
            lambda: forge.contains(absent, ancestor=NOWHERE, head=NOWHERE),
            lambda: forge.diff(absent, base=NOWHERE, head=NOWHERE),
            lambda: forge.read_file(absent, commit=NOWHERE, path="a"),
            lambda: forge.try_merge(absent, base=NOWHERE, commit=NOWHERE),
            lambda: forge.merge(absent, into="a", commit=NOWHERE, expected_head=NOWHERE, message="m"),
            lambda: forge.advance(absent, "a", old=None, new=NOWHERE),
            lambda: forge.ensure_tag(absent, "a", at=NOWHERE),
            lambda: forge.read_tree(absent, NOWHERE),
            lambda: forge.ensure_note(absent, commit=NOWHERE, text="a\n"),
            lambda: forge.ensure_protection(absent),
            lambda: forge.ensure_pull_request(absent, head="a", base="b", title="t", body=""),
            lambda: forge.read_pull_request(absent, 1),
            lambda: forge.close_pull_request(absent, 1, head="task-1"),
            lambda: forge.ensure_comment(absent, 1, key="k", body="b"),
            lambda: forge.ensure_pictures(absent, 1, head="a", version="v", body="b", pictures=[]),
            lambda: forge.read_comments(absent, 1),
            lambda: forge.ensure_credential(absent, branch="a", run_id="r"),
            lambda: forge.delete_credential(absent, run_id="r"),
            lambda: forge.ensure_webhook(absent),
            lambda: forge.read_source(absent),
        ]
        for verb in verbs:
            with refused("no_repository"):
                verb()
