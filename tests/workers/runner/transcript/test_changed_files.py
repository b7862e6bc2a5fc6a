"""Diffs of files that a program names without saying how it changed them."""

from __future__ import annotations

from pathlib import Path

from workers.runner.transcript.changed_files import ChangedFiles


def test_a_file_is_compared_with_the_last_commit_then_with_what_it_held(tmp_path: Path) -> None:
    changed = ChangedFiles(tmp_path, {"a.txt": "one\n"}.get)  # type: ignore[arg-type]
    named = changed.names({"changes": [{"path": str(tmp_path / "a.txt"), "kind": "update"}]})
    (tmp_path / "a.txt").write_text("two\n")
    assert changed.diff(named) == "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n"
    assert changed.diff(named) is None
    (tmp_path / "a.txt").write_text("three\n")
    assert "-two\n+three\n" in (changed.diff(named) or "")


def test_new_and_deleted_files(tmp_path: Path) -> None:
    texts = {"gone.txt": "old\n"}
    changed = ChangedFiles(tmp_path, lambda name: texts.get(name, ""))
    (tmp_path / "new.txt").write_text("new\n")
    diff = changed.diff(changed.names({"changes": [{"path": "new.txt"}, {"path": "gone.txt"}]}))
    assert diff == (
        "--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+new\n--- a/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n"
    )


def test_files_outside_of_the_workspace_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "secret")
    changed = ChangedFiles(inside, lambda _name: "")
    for path in ("../secret", "link", str(tmp_path / "secret")):
        assert changed.diff(changed.names({"changes": [{"path": path}]})) is None
