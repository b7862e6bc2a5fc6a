"""A line of a file must not pass for a file's header in the diff that a person approves by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.browser import chromium
from tests.providers.git_tree import WorkTree, git
from tests.servers import ROOT

STATIC = ROOT / "web" / "static"
OLD = "a\n-- a/old\nb\n++ b/x\n"
NEW = (
    "a\n-- b/readme\n++ b/readme\n@@ -1,2 +1,2 @@\n"
    "foo\rdiff --git a/innocent b/innocent\r--- a/innocent\r+++ b/innocent\r@@ -1 +1 @@\r-bad\r+good\n"
    "hidden\\ No newline at end of file\n"
)

READ = """async ([source, patch]) => {
  const { parsePatch } = await import("data:text/javascript," + encodeURIComponent(source));
  const lines = (file) => file.blocks.flatMap((block) => block.lines.map((line) => line.content));
  return parsePatch(Diff2Html, patch, {}).map((file) => [file.newName, lines(file)]);
}"""


def test_the_diff_shows_the_files_that_git_names_and_every_line(chromium_path: str, tmp_path: Path) -> None:
    git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "origin.git"))
    work = WorkTree(tmp_path / "work", str(tmp_path / "origin.git"))
    work.commit({"file": OLD}, on="main")
    work.commit({"file": NEW, "other": "++ b/readme\n-- c\n"}, on="main")
    patch = git("show", "--format=", "HEAD", at=work.path)

    found = dict(_parsed(chromium_path, patch))

    assert set(found) == {"file", "other"}
    assert found["other"] == ["+++ b/readme", "+-- c"]
    assert len([line for line in found["file"] if line.startswith("+")]) == len(NEW.split("\n")) - 2
    assert any("innocent" in line and "good" in line for line in found["file"])
    assert any("No newline at end of file" in line for line in found["file"])


def _parsed(chromium_path: str, patch: str) -> Any:
    source = (STATIC / "app" / "parts" / "patch.mjs").read_text()
    with chromium(chromium_path) as browser:
        page = browser.new_page()
        page.add_script_tag(path=next(STATIC.glob("vendor/diff2html-*/diff2html.min.js")))
        return page.evaluate(READ, [source, patch])
