"""The transcript of a run on the page: what each kind of entry looks like, live and long ones, search and filter."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Locator, expect

from tests.e2e.browser import Person, chromium
from tests.e2e.contract.caller import Caller
from tests.e2e.contract.fake_agent import FakeAgent, FakeRun
from tests.e2e.instance import Instance, running, wait_until

DIFF = """--- a/greeting.txt
+++ b/greeting.txt
@@ -1,2 +1,2 @@
 # greeting
-hello
+hola
"""
HOSTILE = """Careful: <img src=x onerror="document.title='owned'"> <script>document.title = 'owned'</script>
[click](javascript:document.title='owned')"""
MANY = 3000


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with running(tmp_path_factory.mktemp("instance"), AIWORKER_AGENTS="0") as started:
        yield started


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with chromium(chromium_path) as started:
        yield started


@pytest.fixture(scope="module")
def api(instance: Instance) -> Iterator[Caller]:
    with requests.Session() as session:
        nobody = Caller(session, instance.url, None)
        login = nobody.post("/auth/login", {"username": "admin", "password": instance.password})
        yield nobody.bearing(login["accessToken"])


@pytest.fixture
def person(browser: Browser, instance: Instance) -> Iterator[Person]:
    someone = Person(browser, instance.url)
    someone.log_in("admin", instance.password)
    someone.wait("live-status", state="on")
    yield someone
    someone.close()


class Talk:
    """A run of a task whose agent says what a test wants, numbered as a runner numbers it."""

    def __init__(self, api: Caller, folder: Path, title: str) -> None:
        project = api.post("/projects", {"name": title}, 201)["project"]
        wait_until(
            "the project to be active",
            lambda: api.get(f"/projects/{project['id']}")["project"]["status"] == "active",
        )
        agent = FakeAgent(api, folder)
        body = {"projectId": project["id"], "title": title, "requiredCapabilities": [agent.capability]}
        self.task = api.post("/tasks", body, 201)["task"]
        self.run: FakeRun = agent.claim()
        self._numbers = itertools.count(1)

    def say(self, *lines: dict[str, Any]) -> None:
        numbered = [{"level": "info", "message": "", "number": next(self._numbers), **line} for line in lines]
        self.run.api.post(f"{self.run.path}/logs", {"lines": numbered})

    def look(self, person: Person) -> None:
        person.page.goto(f"{person.url}/#/projects/{self.task['projectId']}/tasks/{self.task['id']}")
        person.page.reload()
        person.wait("transcript-count")
        person.page.get_by_role("log").scroll_into_view_if_needed()


@pytest.fixture
def talk(api: Caller, tmp_path: Path, request: pytest.FixtureRequest) -> Talk:
    return Talk(api, tmp_path, request.node.name.removeprefix("test_")[:60].replace("_", " ").strip())


def rows(person: Person, **data: str) -> Locator:
    return person.see("transcript-entry", **data)


def test_each_kind_of_entry_is_shown_as_what_it_is(person: Person, talk: Talk) -> None:
    talk.say(
        {"kind": "text", "message": "I **begin** with `greeting.txt`"},
        {"kind": "thinking", "message": "It says hello\nand should say hola"},
        {"kind": "plan", "message": "Plan", "details": {"steps": [{"text": "Read", "done": True}, {"text": "Edit"}]}},
        {
            "kind": "tool",
            "message": "Edit greeting.txt",
            "callId": "call-1",
            "details": {"name": "Edit", "input": {"file_path": "greeting.txt"}, "diff": DIFF},
        },
        {
            "kind": "tool",
            "message": "Bash",
            "callId": "call-2",
            "details": {"name": "Bash", "input": {"command": "make test"}, "command": "make test"},
        },
        {"kind": "result", "message": "Edited", "callId": "call-1", "details": {"ok": True}},
        {
            "kind": "result",
            "message": "\n".join(f"line {number}" for number in range(40)),
            "callId": "call-2",
            "details": {"ok": False, "exitCode": 2, "durationMs": 1234},
        },
        {"kind": "log", "message": "The runner says so"},
        {"kind": "text", "message": HOSTILE},
    )
    talk.look(person)

    text = rows(person, kind="text").first
    expect(text.locator("strong")).to_have_text("begin")
    expect(text.locator("code")).to_have_text("greeting.txt")
    thinking = rows(person, kind="thinking")
    expect(thinking.get_by_text("and should say hola")).to_have_count(0)
    thinking.locator("summary").click()
    expect(thinking.get_by_text("and should say hola")).to_be_visible()
    edit, command = rows(person, kind="tool").all()
    expect(edit.get_by_test_id("transcript-diff").locator(".plus")).to_have_text("+hola")
    expect(edit.get_by_test_id("transcript-diff").locator(".minus")).to_have_text("-hello")
    expect(edit.locator(".call summary")).to_contain_text("Done")
    expect(command.locator("summary")).to_contain_text("Failed")
    expect(command.locator("summary")).to_contain_text("make test")
    expect(command.locator("summary")).to_contain_text("exit 2")
    expect(command.locator("summary")).to_contain_text("1.2 s")
    command.locator("summary").click()
    expect(command.get_by_test_id("call-output")).not_to_contain_text("line 25")
    command.get_by_role("button", name="Show all 40 lines").click()
    expect(command.get_by_test_id("call-output")).to_contain_text("line 25")
    assert rows(person, kind="result").count() == 0
    expect(person.see("transcript-plan").locator("li")).to_have_text(["Read (done)", "Edit (to do)"])

    hostile = rows(person, kind="text").last
    expect(hostile).to_contain_text("Careful")
    assert hostile.locator("img, script, [onerror], a[href]").count() == 0
    assert "owned" not in person.page.title()
    assert person.problems == []


def test_what_an_agent_says_appears_at_once_and_in_its_place(person: Person, talk: Talk) -> None:
    talk.say({"kind": "text", "message": "First"})
    talk.look(person)
    expect(rows(person)).to_have_count(1)

    talk.say(
        {"kind": "tool", "message": "", "callId": "one", "details": {"name": "Bash", "input": {"command": "sleep 9"}}},
        {"kind": "plan", "message": "", "details": {"steps": [{"text": "Wait", "done": False}]}},
    )
    call = rows(person, kind="tool")
    expect(call.locator("summary")).to_contain_text("Running")
    expect(person.see("transcript-plan").locator("li")).to_have_text(["Wait (to do)"])
    talk.say(
        {"kind": "result", "message": "slept", "callId": "one", "details": {"ok": True, "exitCode": 0}},
        {"kind": "plan", "message": "", "details": {"steps": [{"text": "Wait", "done": True}]}},
        {"kind": "text", "message": "Last"},
    )
    expect(call.locator("summary")).to_contain_text("Done")
    expect(person.see("transcript-plan").locator("li")).to_have_text(["Wait (done)"])
    expect(rows(person)).to_have_count(3)
    seqs = [int(str(row.get_attribute("data-seq"))) for row in rows(person).all()]
    assert seqs == sorted(set(seqs))
    assert person.problems == []


def test_the_page_follows_the_end_only_while_the_reader_is_there(person: Person, talk: Talk) -> None:
    talk.say(*[{"kind": "text", "message": f"Word {number}"} for number in range(200)])
    talk.look(person)
    expect(rows(person).filter(has_text="Word 199")).to_be_in_viewport()

    person.page.get_by_role("log").evaluate("(box) => { box.scrollTop = box.scrollHeight / 2 }")
    person.wait("transcript-jump")
    talk.say({"kind": "text", "message": "Much later"})
    expect(person.see("transcript-jump")).to_contain_text("1 more")
    person.click("transcript-jump")

    expect(rows(person).filter(has_text="Much later")).to_be_in_viewport()
    expect(person.see("transcript-jump")).to_have_count(0)
    assert person.problems == []


def test_a_long_transcript_is_drawn_in_stretches(person: Person, talk: Talk) -> None:
    for first in range(0, MANY, 500):
        talk.say(*[{"kind": "text", "message": f"Word {number}."} for number in range(first, first + 500)])
    talk.look(person)
    expect(person.see("transcript-count")).to_have_text(f"{MANY:,} entries")

    log = person.page.get_by_role("log")
    expect(rows(person).filter(has_text=f"Word {MANY - 1}.")).to_be_in_viewport()
    for _step in range(MANY):
        if rows(person).filter(has_text="Word 0.").count():
            break
        assert rows(person).count() <= 450
        before = rows(person).first.get_attribute("data-seq")
        log.evaluate("(box) => { box.scrollTop = 100 }")
        expect(rows(person).first).not_to_have_attribute("data-seq", str(before))
    log.evaluate("(box) => { box.scrollTop = 0 }")
    expect(rows(person).filter(has_text="Word 0.")).to_be_in_viewport()
    shown = [int(str(row.get_attribute("data-seq"))) for row in rows(person).all()]
    assert shown == sorted(set(shown))

    person.click("transcript-jump")
    expect(rows(person).filter(has_text=f"Word {MANY - 1}.")).to_be_in_viewport()
    assert person.problems == []


def test_a_transcript_is_searched_and_filtered(person: Person, talk: Talk) -> None:
    details = {"name": "Grep", "input": {"pattern": "needle"}}
    talk.say(
        {"kind": "text", "message": "Nothing here"},
        {"kind": "text", "message": "A needle in a sentence"},
        {"kind": "tool", "message": "Grep needle", "callId": "one", "details": details},
        {"kind": "result", "message": "3 matches", "callId": "one", "details": {"ok": True, "durationMs": 5}},
    )
    talk.look(person)
    expect(rows(person)).to_have_count(3)

    person.see("transcript-kind").select_option("text")
    expect(rows(person)).to_have_count(2)
    person.fill("transcript-search", "NEEDLE")
    expect(rows(person)).to_have_text([rows(person).first.inner_text().split("\n")[0] + "A needle in a sentence\n"])
    person.see("transcript-kind").select_option("")
    expect(rows(person)).to_have_count(2)
    expect(rows(person, kind="tool").locator("summary")).to_contain_text("5 ms")
    talk.say({"kind": "text", "message": "Another needle"}, {"kind": "text", "message": "Straw"})
    expect(rows(person)).to_have_count(3)
    person.fill("transcript-search", "nowhere at all")
    expect(person.page.get_by_text("Nothing in this run contains “nowhere at all”.")).to_be_visible()
    assert person.problems == []


def test_lines_without_details_look_as_before(person: Person, talk: Talk) -> None:
    lines = [
        {"level": "info", "message": "run true", "kind": "tool"},
        {"level": "error", "message": "exit 1", "kind": "result"},
        {"level": "info", "message": "cloned"},
    ]
    talk.run.api.post(f"{talk.run.path}/logs", {"lines": lines})
    talk.look(person)

    expect(rows(person).locator("pre")).to_have_text(["run true", "exit 1", "cloned"])
    assert person.problems == []
