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
from common.providers.forge import Forge, MergeConflict, Merged
from common.values.repository import Repository
from tests.attacks.bombs import tree_bomb
from tests.providers.git_tree import WorkTree, git

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
    def test_a_commit_of_endless_files_is_refused_by_whatever_walks_them(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        base = forge.read_head(repository, "main") or ""
        bomb = tree_bomb(work.path)
        work.push(f"{bomb}:refs/heads/bomb")

        for _ in range(2):
            with refused("too_large"):
                forge.diff(repository, base=base, head=bomb)
            with refused("too_large"):
                forge.try_merge(repository, base=base, commit=bomb)
            with refused("too_large"):
                forge.merge(repository, into="main", commit=bomb, expected_head=base, message="m")
        assert forge.read_head(repository, "main") == base

    def test_it_answers_a_ping(self, forge: Forge) -> None:
        twice(forge.ping)

    def test_a_repository_starts_with_one_commit(self, forge: Forge, repository: Repository) -> None:
        state = twice(
            lambda: forge.ensure_repository(repository, default_branch="main", description="A shop", import_url=None)
        )

        assert state.default_branch == "main"
        assert state.url.endswith(f"/{repository.owner}/{repository.name}")
        assert forge.read_head(repository, "main") == state.default_head
        assert b"A shop" in (forge.read_file(repository, commit=state.default_head, path="README.md") or b"")

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

    def test_a_name_can_be_used_again_by_another_project(self, forge: Forge, repository: Repository) -> None:
        forge.delete_repository(repository)
        successor = Repository(repository.owner, repository.name, "another-project")

        state = forge.ensure_repository(successor, default_branch="trunk", description="", import_url=None)

        assert state.default_branch == "trunk"
        assert forge.read_pull_request(successor, 1) is None

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
        ["--upload-pack=x", "-x", "a..b", "a@{b", "a b", "a\nb", "a\0b", "HEAD", "refs/heads/main", "", "a.lock", "/a",
         "a/", "a//b", "a~1", "a^", "a:b", "a\\b", "@", "a\u202eb", "\ud800", "x" * 300],
    )  # fmt: skip
    def test_a_name_that_is_no_branch_is_refused(self, forge: Forge, repository: Repository, name: str) -> None:
        head = forge.read_head(repository, "main") or ""

        with pytest.raises(ProviderRefused):
            forge.ensure_branch(repository, name, at=head)
        with pytest.raises(ProviderRefused):
            forge.advance(repository, name, old=None, new=head)
        with pytest.raises(ProviderRefused):
            forge.ensure_tag(repository, name, at=head)

    def test_a_history_contains_its_ancestors_and_itself(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        start = forge.read_head(repository, "main") or ""
        commit = work.commit({"a": "a"}, on="task-1")
        work.push("task-1")

        assert twice(lambda: forge.contains(repository, ancestor=start, head=commit))
        assert forge.contains(repository, ancestor=commit, head=commit)
        assert not forge.contains(repository, ancestor=commit, head=start)
        with refused("no_commit"):
            forge.contains(repository, ancestor=NOWHERE, head=commit)

    def test_a_diff_tells_what_the_head_changed_since_it_left(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        base = work.commit({"kept": "1\n2\n3\n4\n5\n", "gone": "x\n"}, on="main")
        moved_on = work.commit({"elsewhere": "not part of it\n"}, on="main")
        head = work.commit(
            {"kept": None, "renamed": "1\n2\n3\n4\n5\n", "gone": None, "new": "a\nb\n", "picture": b"\0\1\2"},
            on="task-1", start=base,
        )  # fmt: skip
        work.push("main", "task-1")

        diff = twice(lambda: forge.diff(repository, base=moved_on, head=head))

        found = {(file.path, file.status, file.additions, file.deletions, file.old_path) for file in diff.files}
        assert found == {
            ("renamed", "renamed", 0, 0, "kept"),
            ("gone", "deleted", 0, 1, None),
            ("new", "added", 2, 0, None),
            ("picture", "added", None, None, None),
        }
        assert (diff.base_sha, diff.head_sha, diff.is_truncated) == (moved_on, head, False)
        assert "+++ b/new" in diff.patch
        assert "elsewhere" not in diff.patch

    def test_no_file_name_can_mislead_a_diff(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        names = {'a "quoted" name', "two\nlines", "a\ttab", "häuser/日本", "-x", ":100644 x M"}
        base = forge.read_head(repository, "main") or ""
        head = work.commit(dict.fromkeys(names, "text\n"), on="task-1")
        work.push("task-1")

        diff = forge.diff(repository, base=base, head=head)

        assert {file.path for file in diff.files} == names
        assert {(file.status, file.additions) for file in diff.files} == {("added", 1)}

    def test_a_long_patch_is_cut_and_says_so(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        base = forge.read_head(repository, "main") or ""
        head = work.commit({f"{number}": "täglich\n" * 500 for number in range(5)}, on="task-1")
        work.push("task-1")

        diff = forge.diff(repository, base=base, head=head, max_bytes=3000)

        assert diff.is_truncated
        assert 2900 < len(diff.patch.encode()) <= 3000
        assert len(diff.files) == 5

    def test_an_empty_diff_has_no_files(self, forge: Forge, repository: Repository) -> None:
        head = forge.read_head(repository, "main") or ""

        diff = forge.diff(repository, base=head, head=head)

        assert (diff.files, diff.patch) == ((), "")

    def test_changes_are_read_with_what_is_in_them(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        base = work.commit({"kept": "1\n2\n3\n4\n5\n", "gone": "x\n", "ours\nodd": "old"}, on="main")
        (work.path / "link").symlink_to("kept")
        head = work.commit(
            {"kept": None, "renamed": "1\n2\n3\n4\n5\n", "gone": None, "ours\nodd": "new", "big": b"x" * 5_000_000},
            on="task-1",
        )
        work.push("main", "task-1")

        changes = twice(lambda: forge.read_changes(repository, base=base, head=head))
        ids = [entry.object_id for change in changes for entry in (change.before, change.after) if entry]
        blobs = {blob.object_id: blob for blob in forge.read_blobs(repository, [*ids, *ids])}

        found = {
            (change.before and (change.before.path, blobs[change.before.object_id].content),
             change.after and (change.after.path, blobs[change.after.object_id].content[:20]))
            for change in changes
        }  # fmt: skip
        text = b"1\n2\n3\n4\n5\n"
        assert found == {
            (("kept", text), ("renamed", text)), (("gone", b"x\n"), None),
            (("ours\nodd", b"old"), ("ours\nodd", b"new")),
            (None, ("link", b"kept")), (None, ("big", b"x" * 20)),
        }  # fmt: skip
        assert [blob.is_cut for blob in blobs.values() if len(blob.content) > 20] == [True]
        assert {change.after.path for change in changes if change.after and change.after.leads_elsewhere} == {"link"}
        with refused("no_blob"):
            list(forge.read_blobs(repository, [NOWHERE]))
        listed = twice(lambda: forge.list_files(repository, commit=head))
        assert [entry.path for entry in listed.entries] == ["README.md", "big", "link", "ours\nodd", "renamed"]
        assert not listed.is_truncated

    def test_a_file_is_read_as_it_was_at_a_commit(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        commit = work.commit({"dir/a": "then"}, on="main")
        later = work.commit({"dir/a": "now"}, on="main")
        work.push("main")

        assert twice(lambda: forge.read_file(repository, commit=commit, path="dir/a")) == b"then"
        assert forge.read_file(repository, commit=later, path="dir/a") == b"now"
        for absent in ("dir", "dir/", "b", "", ".", "../x", "/etc/passwd", "-x", "*", ":(top)dir/a"):
            assert forge.read_file(repository, commit=later, path=absent) is None
        with pytest.raises(ProviderRefused):
            forge.read_file(repository, commit=later, path="dir/a", max_bytes=2)

    def test_a_merge_is_a_commit_of_its_own(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        head = forge.read_head(repository, "main") or ""
        commit = work.commit({"a": "a"}, on="task-1")
        work.push("task-1")

        merged = twice(
            lambda: forge.merge(repository, into="main", commit=commit, expected_head=head, message="Merge it")
        )

        assert isinstance(merged, Merged)
        assert forge.read_head(repository, "main") == merged.commit
        git("fetch", "--quiet", at=work.path)
        assert git("rev-list", "--parents", "-1", merged.commit, at=work.path).split()[1:] == [head, commit]

    def test_merging_what_is_contained_changes_nothing(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        old = forge.read_head(repository, "main") or ""
        head = work.commit({"a": "a"}, on="main")
        work.push("main")

        merged = twice(lambda: forge.merge(repository, into="main", commit=old, expected_head=head, message="Merge"))

        assert merged == Merged(head)

    def test_a_stale_head_is_refused(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        stale = forge.read_head(repository, "main") or ""
        commit = work.commit({"a": "a"}, on="task-1")
        head = work.commit({"b": "b"}, on="main", start=stale)
        work.push("task-1", "main")

        for _ in range(2):
            with refused("head_moved"):
                forge.merge(repository, into="main", commit=commit, expected_head=stale, message="Merge")
        assert forge.read_head(repository, "main") == head

    def test_a_conflict_names_its_files_and_moves_nothing(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        start = work.commit({"b\nb": "0\n", "a": "0\n", "c": "0\n"}, on="main")
        commit = work.commit({"b\nb": "1\n", "a": "1\n", "d": "1\n"}, on="task-1", start=start)
        head = work.commit({"b\nb": "2\n", "a": "2\n", "e": "2\n"}, on="main")
        work.push("main", "task-1")

        conflict = twice(
            lambda: forge.merge(repository, into="main", commit=commit, expected_head=head, message="Merge")
        )

        assert conflict == MergeConflict(("a", "b\nb"))
        assert twice(lambda: forge.try_merge(repository, base=head, commit=commit)) == conflict
        assert forge.try_merge(repository, base=start, commit=commit) is None
        assert forge.read_head(repository, "main") == head

    def test_merging_what_is_not_there_is_refused(self, forge: Forge, repository: Repository) -> None:
        head = forge.read_head(repository, "main") or ""

        with refused("no_commit"):
            forge.merge(repository, into="main", commit=NOWHERE, expected_head=head, message="Merge")
        with refused("no_branch"):
            forge.merge(repository, into="absent", commit=head, expected_head=head, message="Merge")
        with refused("no_commit"):
            forge.try_merge(repository, base=head, commit=NOWHERE)

    def test_histories_without_a_common_start_are_refused(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        head = forge.read_head(repository, "main") or ""
        git("checkout", "--quiet", "--orphan", "task-1", at=work.path)
        git("commit", "--quiet", "--message", "Another beginning", at=work.path)
        work.push("task-1")
        orphan = forge.read_head(repository, "task-1") or ""

        with refused("unrelated"):
            forge.try_merge(repository, base=head, commit=orphan)
        with refused("unrelated"):
            forge.diff(repository, base=head, head=orphan)

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
            lambda: forge.ensure_protection(absent),
            lambda: forge.ensure_pull_request(absent, head="a", base="b", title="t", body=""),
            lambda: forge.read_pull_request(absent, 1),
            lambda: forge.close_pull_request(absent, 1),
            lambda: forge.ensure_comment(absent, 1, key="k", body="b"),
            lambda: forge.read_comments(absent, 1),
            lambda: forge.ensure_credential(absent, branch="a", run_id="r"),
            lambda: forge.delete_credential(absent, run_id="r"),
            lambda: forge.ensure_webhook(absent),
            lambda: forge.read_source(absent),
        ]
        for verb in verbs:
            with refused("no_repository"):
                verb()
