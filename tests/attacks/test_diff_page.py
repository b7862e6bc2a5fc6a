"""A line of a file must not pass for a file's header in the diff that a person approves by."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.browser import chromium
from tests.long_waits import LONG_WAIT_MS
from tests.providers.git_work_tree import WorkTree, git
from tests.servers import ROOT

pytestmark = pytest.mark.slow

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


PLACE = """async ([patchSource, rowsSource, patch, files]) => {
  const read = (source) => import("data:text/javascript," + encodeURIComponent(source));
  const [{ parsePatch }, { diffFiles }] = await Promise.all([read(patchSource), read(rowsSource)]);
  return diffFiles(parsePatch(Diff2Html, patch, {}), files, { isCut: true }).map((file) => [
    file.path, file.status, file.additions, file.deletions, file.blocks[0].rows[0].text,
  ]);
}"""


def test_behind_a_file_that_became_a_link_each_file_has_its_own_name(chromium_path: str, tmp_path: Path) -> None:
    """Also where the end of the patch is missing. Git shows such a file as two, and counts it as one."""
    git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "origin.git"))
    work = WorkTree(tmp_path / "work", str(tmp_path / "origin.git"))
    names = ["app", "file", "guard", "zoo"]
    work.commit({name: f"old {name}\n" for name in names}, on="main")
    (work.path / "file").unlink()
    (work.path / "file").symlink_to("app")
    work.commit({name: f"{name}\n" for name in names if name != "file"}, on="main")
    patch = git("show", "--format=", "HEAD", at=work.path)
    cut = patch[: patch.index("diff --git a/zoo")]
    files = [{"path": name, "status": "modified", "additions": 1, "deletions": 1} for name in names]

    found = _evaluated(chromium_path, PLACE, "parse-patch.mjs", "diff-rows.mjs", cut, files)

    assert found == [
        ["app", "modified", 1, 1, "old app"], ["file", "deleted", 0, 1, "old file"], ["file", "added", 1, 0, "app"],
        ["guard", "modified", 1, 1, "old guard"],
    ]  # fmt: skip


def _parsed(chromium_path: str, patch: str) -> Any:
    return _evaluated(chromium_path, READ, "parse-patch.mjs", patch)


def _evaluated(chromium_path: str, script: str, *arguments: object) -> Any:
    """What the script returns beside the library. Of arguments that are names of modules it gets the text."""
    folder = STATIC / "app" / "diff"
    given = [(folder / str(one)).read_text() if str(one).endswith(".mjs") else one for one in arguments]
    with chromium(chromium_path) as browser:
        page = browser.new_page()
        page.add_script_tag(path=next(STATIC.glob("vendor/diff2html-*/diff2html.min.js")))
        return page.evaluate(script, given)


LONG = "--- a/long.txt\n+++ b/long.txt\n@@ -0,0 +1,5000 @@\n" + "".join(
    f"+line {number}\n" for number in range(1, 5001)
)

SHOW = """async (patch) => {
  const [{ h, render }, { Diff, useDiffFiles }, { beginReview }] = await Promise.all([
    import("preact"), import("/static/app/diff/diff.mjs"), import("/static/app/state/review-drafts.mjs"),
  ]);
  const review = beginReview("a task");
  const Page = () => h(Diff, {
    ...useDiffFiles({ patch, files: [] }), headSha: "a".repeat(40), mode: "unified", review, may: true, comments: [],
    viewed: new Set(), setViewed: () => {}, read: null,
  });
  document.getElementById("app").remove();
  window.began = performance.now();
  render(h(Page), document.body.appendChild(document.createElement("main")));
}"""


DECIDING = (
    "tests/fixtures/prices.json",
    "Makefile",
    "web/package-lock.json",
    "zoo/conftest.py",
    "requirements-dev.txt",
)
PLAIN = ("app/makefiles.py", "docs/locks.md", "src/conftest_notes.py", "tests/test_page.py")


def test_what_the_tests_depend_on_comes_first(chromium_path: str) -> None:
    """A lock file, a fixture or a changed runner must not hide behind what the change is about."""
    paths = sorted((*DECIDING, *PLAIN))
    patch = "".join(f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-a\n+b\n" for path in paths)
    with chromium(chromium_path) as browser:
        page = _page_with_diff(browser, patch)
        files = page.locator(".diff-file")
        shown = [file.get_attribute("data-path") for file in files.all()]

        assert shown == sorted(DECIDING) + sorted(PLAIN)
        expect(files.filter(has_text="Tests depend on it")).to_have_count(len(DECIDING), timeout=LONG_WAIT_MS)


def _page_with_diff(browser: Browser, patch: str = LONG) -> Page:
    """The page's own modules without a server behind them, showing a diff that may be commented on."""
    page = browser.new_page()
    page.set_default_timeout(LONG_WAIT_MS)
    page.route("http://page.test/**", _serve)
    page.goto("http://page.test/")
    page.evaluate(SHOW, patch)
    expect(page.locator('tr[data-line="1"]').first).to_be_visible(timeout=LONG_WAIT_MS)
    return page


def _serve(route: Route) -> None:
    path = urlsplit(route.request.url).path
    file = STATIC / (path.removeprefix("/static/") if path != "/" else "index.html")
    route.fulfill(path=file, content_type="text/javascript" if file.suffix == ".mjs" else None)
