"""The transcript of a run on the page: what each kind of entry looks like, live and long ones, search and filter."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.browser import Person
from tests.e2e.scripted_run import ScriptedRun

pytestmark = pytest.mark.slow

DIFF = """--- a/greeting.txt
+++ b/greeting.txt
@@ -1,2 +1,2 @@
 # greeting
-hello
+hola
"""
HOSTILE = """Careful: <img src=x onerror="document.title='owned'"> <script>document.title = 'owned'</script>
[click](javascript:document.title='owned')"""


def rows(reader: Person, **data: str) -> Locator:
    return reader.see("transcript-entry", **data)


def test_each_kind_of_entry_is_shown_as_what_it_is(reader: Person, talk: ScriptedRun) -> None:
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
    talk.look(reader)

    text = rows(reader, kind="text").first
    expect(text.locator("strong")).to_have_text("begin")
    expect(text.locator("code")).to_have_text("greeting.txt")
    thinking = rows(reader, kind="thinking")
    expect(thinking.get_by_text("and should say hola")).to_have_count(0)
    thinking.locator("summary").click()
    expect(thinking.get_by_text("and should say hola")).to_be_visible()
    edit, command = rows(reader, kind="tool").all()
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
    assert rows(reader, kind="result").count() == 0
    expect(reader.see("transcript-plan").locator("li")).to_have_text(["Read (done)", "Edit (to do)"])

    hostile = rows(reader, kind="text").last
    expect(hostile).to_contain_text("Careful")
    assert hostile.locator("img, script, [onerror], a[href]").count() == 0
    assert "owned" not in reader.page.title()
    assert reader.problems == []
