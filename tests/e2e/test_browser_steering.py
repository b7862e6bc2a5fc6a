"""A person beside a working agent: answers, messages, taking over, files and proposed tasks, on the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Person
from tests.e2e.contract.caller import Caller
from tests.e2e.instance import Instance
from tests.e2e.scripted_run import ScriptedRun

pytestmark = pytest.mark.slow

# A PNG of 16 by 16 pixels of one colour.
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000100000001008020000009091683600000017494441547801636060f8cf40120a4635300c8aa0"
    "0000f95a01ff3a4c2b9e0000000049454e44ae426082"
)


@pytest.fixture
def other(chromium_browser: Browser, quiet_instance: Instance) -> Iterator[Person]:
    """Somebody else at another browser."""
    someone = Person(chromium_browser, quiet_instance.url)
    someone.log_in("admin", quiet_instance.password)
    someone.wait("live-status", state="on")
    yield someone
    someone.close()


def ask(talk: ScriptedRun, text: str, **more: object) -> str:
    reply = talk.run.api.post(f"{talk.run.path}/questions", {"question": text, **more}, 201)
    return str(reply["question"]["id"])


def answer_of(talk: ScriptedRun, question_id: str) -> str:
    return str(talk.run.api.get(f"{talk.run.path}/questions/{question_id}")["question"]["response"])


def test_what_an_agent_asks_shows_up_where_it_needs_somebody_and_goes_when_answered(
    reader: Person, talk: ScriptedRun
) -> None:
    talk.look(reader)
    reader.page.goto(f"{reader.url}/#/inbox")
    asked = ask(talk, "Which one?", options=["This", "That"])
    waiting = reader.see("inbox-question").get_by_test_id("inbox-item").filter(has_text=talk.task["title"])
    expect(waiting).to_contain_text("Which one?")
    expect(reader.page).to_have_title(re.compile(r"^\(\d+\) Needs you"))

    waiting.click()
    expect(reader.see("card-question")).to_have_text("Which one?")
    reader.see("question-option").filter(has_text="This").click()
    expect(reader.see("card-question")).to_have_count(0)
    assert answer_of(talk, asked) == "This"
    reader.page.goto(f"{reader.url}/#/inbox")
    expect(reader.page.get_by_role("heading", name="Needs you", exact=True)).to_be_visible()
    expect(waiting).to_have_count(0)
    assert reader.problems == []


def test_a_message_reaches_the_agent_and_its_transcript(reader: Person, talk: ScriptedRun) -> None:
    talk.look(reader)
    reader.fill("message-text", "Please say **hola**")
    reader.click("message-send")
    expect(reader.see("message-text")).to_have_value("")
    reader.fill("message-text", "Stop at once")
    reader.click("message-interrupt")

    expect(reader.see("transcript-entry", kind="message")).to_have_count(2)
    expect(reader.see("transcript-entry", kind="message").first.locator("strong")).to_have_text("hola")
    expect(reader.see("transcript-entry", kind="message").last).to_contain_text("admin")
    messages = talk.run.api.get(f"{talk.run.path}/messages", after=0)["messages"]
    assert [(one["text"], bool(one["interrupts"])) for one in messages] == [
        ("Please say **hola**", False),
        ("Stop at once", True),
    ]
    assert reader.problems == []


def test_a_task_is_taken_over_and_handed_back(reader: Person, other: Person, talk: ScriptedRun) -> None:
    talk.look(reader)
    talk.look(other)
    reader.click("task-take-over")
    reader.click("task-take-over-confirm")

    expect(reader.wait("task-held")).to_contain_text("Held by you")
    expect(reader.see("task-clone")).to_contain_text(f"git clone -b {talk.task['branchName']} ")
    expect(other.wait("task-held")).to_be_visible()
    expect(reader.see("steering")).to_have_count(0)
    talk.run.finish("cancelled")
    reader.fill("hand-back-note", "I renamed it; go on with the tests.")
    reader.click("task-hand-back")

    expect(reader.see("task-held")).to_have_count(0)
    expect(other.see("task-held")).to_have_count(0)
    expect(reader.see("task-comments")).to_contain_text("I renamed it")
    assert reader.problems == []


def test_files_of_a_task_are_added_shown_and_removed(
    reader: Person, talk: ScriptedRun, quiet_api: Caller, tmp_path: Path
) -> None:
    (tmp_path / "what I see.png").write_bytes(PICTURE)
    (tmp_path / "words.txt").write_text("hola")
    talk.look(reader)
    reader.click("task-open")
    reader.click("task-tab-details")
    reader.page.get_by_test_id("attachment-add").set_input_files([tmp_path / "what I see.png", tmp_path / "words.txt"])

    expect(reader.see("attachment")).to_have_count(2)
    picture = reader.see("attachment").filter(has_text="what I see.png").get_by_test_id("attachment-picture")
    expect(picture).to_be_visible()
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 16
    words = reader.see("attachment").filter(has_text="words.txt")
    with reader.page.expect_download() as download:
        words.get_by_test_id("attachment-download").click()
    assert download.value.suggested_filename == "words.txt"
    assert Path(download.value.path()).read_text() == "hola"
    words.get_by_test_id("attachment-remove").click()
    expect(reader.see("attachment")).to_have_count(1)
    kept = quiet_api.get(f"/tasks/{talk.task['id']}")["task"]["attachments"]
    assert [one["name"] for one in kept] == ["what I see.png"]
    assert reader.problems == []


def test_a_proposed_task_is_made_only_when_accepted(reader: Person, talk: ScriptedRun, quiet_api: Caller) -> None:
    proposals = [{"title": "Test it", "description": "With `unittest`"}, {"title": "Rewrite it", "description": ""}]
    talk.run.api.post(f"{talk.run.path}/proposals", {"proposals": proposals}, 201)
    talk.look(reader)
    expect(reader.see("proposal")).to_have_count(2)
    listed = f"/tasks?projectId={talk.task['projectId']}"
    assert len(quiet_api.get(listed)["tasks"]) == 1

    reader.see("proposal").filter(has_text="Rewrite it").get_by_test_id("proposal-dismiss").click()
    expect(reader.see("proposal").filter(has_text="Rewrite it")).to_contain_text("Dismissed")
    reader.see("proposal").filter(has_text="Test it").get_by_test_id("proposal-accept").click()
    expect(reader.see("proposal").filter(has_text="Test it")).to_contain_text("Accepted")

    tasks = {task["title"]: task["id"] for task in quiet_api.get(listed)["tasks"]}
    assert sorted(tasks) == sorted([talk.task["title"], "Test it"])
    assert reader.problems == []
    # It names no capability: the next test's agent would be given it.
    quiet_api.post(f"/tasks/{tasks['Test it']}/cancel")
