"""A person reviews a real change on the page: reads, comments, suggests, sends it back, and sees what came of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.browser import Person, chromium
from tests.e2e.browser_acts import create_project, write_task
from tests.e2e.client import Client
from tests.e2e.instance import Instance, running
from tests.e2e.origin import served_repository
from tests.long_waits import LONG_WAIT_MS

pytestmark = pytest.mark.slow

PAGE = "".join(f"line {number}\n" for number in range(1, 61))
STEPS = """```steps
- write: {path: greeting.txt, content: "hola\\n"}
- replace: {path: docs/page.py, old: "line 30\\n", new: "print('line 30')\\n"}
```

```steps
- apply: suggestions
```"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served_repository(tmp_path_factory.mktemp("origin"), {"docs/page.py": PAGE}) as address:
        yield address


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory, origin: str) -> Iterator[Instance]:
    folder: Path = tmp_path_factory.mktemp("instance")
    with running(folder, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc) as started:
        yield started


@pytest.fixture
def reviewer(chromium_path: str, instance: Instance) -> Iterator[Person]:
    with chromium(chromium_path) as browser:
        someone = Person(browser, instance.url)
        someone.log_in("admin", instance.password)
        someone.wait("live-status", state="on")
        yield someone
        someone.close()


def file_of(person: Person, path: str) -> Locator:
    return person.page.locator(f'[data-testid="task-diff"] [data-path="{path}"]')


def numbers(person: Person, line: int) -> Locator:
    return file_of(person, "docs/page.py").get_by_role("button", name=f"Comment on line {line}", exact=True)


def test_a_change_is_reviewed_and_its_agent_gets_the_suggestion_as_a_patch(
    reviewer: Person, instance: Instance, origin: str
) -> None:
    page = reviewer.page
    page.set_viewport_size({"width": 2000, "height": 1000})
    create_project(reviewer, "Reviewed", origin)
    write_task(reviewer, "Greet and print", STEPS)
    reviewer.wait("task-state", state="ready_to_test")
    code = file_of(reviewer, "docs/page.py")

    # Both ways to show it; the choice is kept.
    reviewer.click("diff-split")
    expect(code.locator("table.split")).to_be_visible()
    expect(code.locator("td.code.delete")).to_have_text("line 30")
    expect(code.locator("td.code.insert .hljs-string")).to_have_text("'line 30'")
    page.reload()
    expect(code.locator("table.split")).to_be_visible()
    reviewer.click("diff-unified")

    # More of the file: 26 lines are left out before the change, which begins at 27.
    expect(code.get_by_text("line 26", exact=True)).to_have_count(0)
    code.get_by_test_id("diff-expand").first.click()
    expect(code.get_by_text("line 26", exact=True)).to_be_visible()
    expect(code.get_by_text("line 6", exact=True)).to_have_count(0)
    code.get_by_test_id("diff-expand").first.click()
    expect(code.get_by_text("line 1", exact=True)).to_be_visible()

    # A range, by the mouse; its letters go into the comment at once.
    numbers(reviewer, 29).hover()
    page.mouse.down()
    # At once, as a quick hand does; lines stay where they are while they are chosen.
    before = numbers(reviewer, 31).bounding_box()
    numbers(reviewer, 31).hover(force=True)
    expect(code.locator("tr.chosen")).to_have_count(4)
    assert numbers(reviewer, 31).bounding_box() == before
    page.mouse.up()
    page.keyboard.type("Louder: r and a are only letters here")
    reviewer.click("diff-suggest")
    field = reviewer.see("diff-comment")
    expect(field).to_have_value(
        "Louder: r and a are only letters here\n\n```suggestion\nline 29\nprint('line 30')\nline 31\n```\n"
    )
    field.fill(field.input_value().replace("'line 30'", "'LINE 30'"))
    field.press("Control+Enter")
    pending = reviewer.see("pending-comment")
    expect(pending).to_contain_text("lines 29 to 31")
    expect(pending.get_by_test_id("suggestion").locator("ins").nth(1)).to_have_text("print('LINE 30')")

    # Another range by keys alone. Pending comments are the person's own, and outlast the page.
    numbers(reviewer, 10).focus()
    for key in ("Shift+ArrowDown", "ArrowDown", "Shift+ArrowUp", "Enter"):
        page.keyboard.press(key)
    page.keyboard.type("Twice")
    page.keyboard.press("Control+Enter")
    expect(reviewer.see("pending-comment")).to_have_count(2)
    expect(numbers(reviewer, 12)).to_be_focused()
    api = Client.login(instance.url, "admin", instance.password)
    task_id = page.url.rsplit("/", 1)[-1]
    assert api.get(f"/tasks/{task_id}")["task"]["comments"] == []
    assert [(one["startLine"], one["line"]) for one in api.get(f"/tasks/{task_id}/review")["review"]["comments"]] == [
        (29, 31), (11, 12),
    ]  # fmt: skip

    # Keys go from file to file, and mark what was viewed.
    page.locator("body").press("j")
    expect(page.locator(":focus")).to_have_attribute("aria-expanded", "true")
    focused = page.locator(".diff-file:focus-within")
    first = focused.get_attribute("data-path")
    page.keyboard.press("v")
    expect(page.locator(f'[data-path="{first}"]').get_by_test_id("file-viewed")).to_be_checked()
    expect(page.locator(f'[data-path="{first}"] table')).to_have_count(0)
    page.reload()
    expect(reviewer.see("pending-comment").or_(page.locator(".diff-file.folded")).first).to_be_visible()
    expect(page.locator(f'[data-path="{first}"]').get_by_test_id("file-viewed")).to_be_checked()

    # Thrown away, and brought back, with what was being changed in one of them. The lines around a comment outside of
    # the changes come after the diff, and move it.
    expect(numbers(reviewer, 12)).to_be_visible()
    reviewer.see("pending-comment").first.get_by_role("button", name="Edit").click()
    expect(reviewer.see("diff-comment")).to_be_focused()
    page.keyboard.press("Control+End")
    page.keyboard.press("Enter")
    page.keyboard.type("and clearer")
    reviewer.click("review-finish")
    with page.expect_response(lambda reply: reply.request.method == "DELETE") as discarded:
        reviewer.click("review-discard")
    assert (discarded.value.url.rsplit("/", 2)[1:], discarded.value.status) == ([task_id, "review"], 204)
    expect(reviewer.see("pending-comment")).to_have_count(0)
    reviewer.see("toast").get_by_role("button", name="Undo").click()
    reviewer.click("review-finish")
    expect(reviewer.see("review-submit")).to_contain_text("2 comments")
    expect(reviewer.see("diff-comment")).to_have_value(re.compile("and clearer$"))
    assert [(one["startLine"], one["line"]) for one in api.get(f"/tasks/{task_id}/review")["review"]["comments"]] == [
        (29, 31), (11, 12),
    ]  # fmt: skip

    # The verdict.
    reviewer.see("review-verdict-reject").check()
    expect(reviewer.see("review-body")).to_be_focused()
    page.keyboard.type("Not loud enough")
    reviewer.click("review-submit")
    expect(reviewer.see("task-comments")).to_contain_text("Not loud enough")

    # The agent applied the patch in its next round.
    reviewer.wait("task-state", state="ready_to_test")
    expect(code.locator("tr.insert")).to_have_text("print('LINE 30')", timeout=LONG_WAIT_MS)
    expect(code.get_by_text("2 comments on other versions")).to_be_visible()
    comments = api.get(f"/tasks/{task_id}")["task"]["comments"]
    assert [(one["kind"], one["startLine"], one["line"]) for one in comments] == [
        ("rejection", None, None), ("comment", 29, 31), ("comment", 11, 12),
    ]  # fmt: skip

    # A comment on the old side in a review that changes nothing; then an approval by keys alone.
    reviewer.click("diff-split")
    code.get_by_role("button", name="Comment on old line 30").click()
    page.keyboard.type("Good riddance")
    reviewer.click("review-finish")
    reviewer.click("review-submit")
    expect(reviewer.see("task-comments")).to_contain_text("Good riddance")
    expect(code.locator("tr .note-said").filter(has_text="Good riddance")).to_be_visible()
    last = api.get(f"/tasks/{task_id}")["task"]
    assert (last["state"], last["comments"][-1]["side"], last["comments"][-1]["line"]) == ("ready_to_test", "old", 30)
    page.locator("body").press("a")
    expect(reviewer.see("review-verdict-approve")).to_be_checked()
    page.keyboard.press("Enter")
    reviewer.wait("task-state", state="approved")
    assert api.get(f"/tasks/{task_id}")["task"]["approvedSha"] == last["headSha"]
    api.close()
    assert reviewer.problems == []
