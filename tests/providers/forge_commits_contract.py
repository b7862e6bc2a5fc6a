"""What every forge must do with commits: compare, read and merge them. Taken like ForgeContract."""

from __future__ import annotations

from datetime import timedelta

import pytest

from common.errors import ProviderRefused
from common.providers.forge import Forge, MergeConflict, Merged
from common.values.repository import Repository
from tests.attacks.bombs import tree_bomb
from tests.providers.forge_contract import NOWHERE, refused, twice
from tests.providers.git_work_tree import WorkTree, git


class CommitsContract:
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

    def test_the_commits_of_a_head_are_those_that_the_base_lacks_without_merges(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        base = forge.read_head(repository, "main") or ""
        first = work.commit({"a": "a"}, on="task-1")
        second = work.commit({"b": "b"}, on="task-1")
        work.push("task-1")
        forge.ensure_branch(repository, "release/x", at=base)
        made = forge.merge(repository, into="release/x", commit=second, expected_head=base, message="Merge: A task")
        assert isinstance(made, Merged)

        found = twice(lambda: forge.read_commits(repository, base=base, head=made.commit))

        assert ([one.sha for one in found.commits], found.total) == ([second, first], 2)
        newest = found.commits[0]
        assert (newest.subject, newest.author, newest.at.utcoffset()) == (
            "Change task-1",
            "ada@example.org",
            timedelta(0),
        )
        cut = forge.read_commits(repository, base=base, head=made.commit, limit=1)
        assert ([one.sha for one in cut.commits], cut.total) == ([second], 2)
        assert forge.read_commits(repository, base=second, head=first).commits == ()
        with refused("no_commit"):
            forge.read_commits(repository, base=NOWHERE, head=base)

    def test_what_a_merge_takes_back_is_told(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        start = work.commit({"theirs": "old\n", "both": "old\n"}, on="main")
        work.commit({"theirs": "new\n", "both": "new\n", "more": "new\n"}, on="main")
        mine = work.commit({"both": "mine\n", "own": "mine\n"}, on="task-1", start=start)
        git("merge", "--quiet", "--strategy=ours", "--message=Merge", "main", at=work.path)
        hidden = git("rev-parse", "HEAD", at=work.path)
        mended = work.commit({"theirs": "new\n", "more": "new\n"}, on="task-1")
        git("checkout", "--quiet", "-B", "task-2", mine, at=work.path)
        git("merge", "--quiet", "--strategy-option=ours", "--message=Merge", "main", at=work.path)
        honest = git("rev-parse", "HEAD", at=work.path)
        work.push("main", "task-1", "task-2")
        base = forge.read_head(repository, "main") or ""

        assert twice(lambda: forge.read_dropped_changes(repository, base=base, head=hidden)) == ("more", "theirs")
        for other in (mine, mended, honest, base):
            assert forge.read_dropped_changes(repository, base=base, head=other) == ()

    def test_what_two_branches_undo_of_each_other_is_told(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        base = work.commit({"start": "1\n"}, on="main")
        one = work.commit({"price": "12\n", "start": "2\n"}, on="task-1", start=base)
        more = work.commit({"more": "1\n"}, on="honest", start=one)
        back = work.commit({"price": None, "mine": "1\n"}, on="task-2", start=one)
        alone = work.commit({"alone": "1\n"}, on="task-3", start=base)
        work.push("main", "task-1", "honest", "task-2", "task-3")

        assert twice(lambda: forge.read_changes_undone_by_merge(repository, base=base, onto=one, head=back)) == (
            "price",
        )
        assert forge.read_changes_undone_by_merge(repository, base=base, onto=back, head=one) == ("price",)
        for onto, head in ((one, more), (more, one), (one, alone), (base, back), (back, base)):
            assert forge.read_changes_undone_by_merge(repository, base=base, onto=onto, head=head) == ()

    def test_changes_are_read_with_what_is_in_them(self, forge: Forge, repository: Repository, work: WorkTree) -> None:
        base = work.commit({"kept": "1\n2\n3\n4\n5\n", "gone": "x\n", "ours\nodd": "old"}, on="main")
        (work.path / "link").symlink_to("kept")
        head = work.commit(
            {"kept": None, "renamed": "1\n2\n3\n4\n5\n", "gone": None, "ours\nodd": "new", "big": b"x" * 5_000_000},
            on="task-1",
        )
        work.push("main", "task-1")

        assert twice(lambda: forge.read_merge_base(repository, base=base, head=head)) == base
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


class CommitsInDetailContract:
    """What git alone decides, which is the same below every forge: for one of them."""

    def test_a_commit_of_endless_files_is_refused_by_whatever_walks_them(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        base = forge.read_head(repository, "main") or ""
        bomb = tree_bomb(work.path)
        work.push(f"{bomb}:refs/heads/bomb")

        for _ in range(2):
            with refused("too_large"):
                forge.diff(repository, base=base, head=bomb)
            # The files are counted, not listed until a limit ends git.
            with pytest.raises(ProviderRefused, match=r"it has [0-9,]* files, more than"):
                forge.read_changes(repository, base=base, head=bomb)
            with refused("too_large"):
                forge.try_merge(repository, base=base, commit=bomb)
            with refused("too_large"):
                forge.merge(repository, into="main", commit=bomb, expected_head=base, message="m")
        assert forge.read_head(repository, "main") == base

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

    def test_several_merge_bases_are_shown_as_one_and_decide_nothing(
        self, forge: Forge, repository: Repository, work: WorkTree
    ) -> None:
        """main got task-1 by a merge, and task-2 merged it by itself."""
        first = work.commit({"guard": "off\n"}, on="main")
        one = work.commit({"one": "1\n"}, on="task-1", start=first)
        git("checkout", "--quiet", "main", at=work.path)
        left_at = work.commit({"guard": "on\n"}, on="main")
        work.commit({"guard": "off\n", "two": "2\n"}, on="task-2", start=left_at)
        git("merge", "--quiet", "--no-edit", one, at=work.path)
        head = git("rev-parse", "HEAD", at=work.path)
        git("checkout", "--quiet", "main", at=work.path)
        git("merge", "--quiet", "--no-edit", one, at=work.path)
        base = git("rev-parse", "HEAD", at=work.path)
        work.push("main", "task-1", "task-2")

        with refused("several_bases"):
            forge.read_changes(repository, base=base, head=head)
        with refused("several_bases"):
            forge.read_merge_base(repository, base=base, head=head)
        diff = twice(lambda: forge.diff(repository, base=base, head=head))
        assert {(file.path, file.status) for file in diff.files} == {("guard", "modified"), ("two", "added")}
        assert forge.read_dropped_changes(repository, base=base, head=head) == ()
        assert forge.try_merge(repository, base=base, commit=head) is None

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
