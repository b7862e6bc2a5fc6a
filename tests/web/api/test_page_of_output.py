"""Output of programs as it is read on the page: it stays where the reader is, and can be selected."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from common.models import Task, TaskCheck
from common.transaction import Transaction, transactional
from tests.web.live_feed import LiveFeed
from tests.web.made import MISSING_ID
from tests.web.page_reader import PageReader
from tests.web.world import SHA, World, put

pytestmark = pytest.mark.slow

LONG = "\n".join(f"line {number}" for number in range(400))
TO_TOP = "box => { box.scrollTop = 0; return new Promise((done) => requestAnimationFrame(() => setTimeout(done))) }"


@transactional
def _running(tx: Transaction, task_id: str) -> TaskCheck:
    return tx.add(
        TaskCheck(
            task_id=task_id, run_id=MISSING_ID, commit_sha=SHA, name="tests", status="running", log=LONG, at=tx.now(),
            facts={},
        )
    )  # fmt: skip


def _top(box: Locator) -> float:
    top: float = box.evaluate("box => box.scrollTop")
    return top


def test_the_log_of_running_tests_stays_where_somebody_reads_it(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, state="in_progress")
    put(Task, task.id, phase_="verifying")
    check = _running(task.id)
    feed = LiveFeed(reader.page)
    reader.open(f"#/projects/{project.id}/tasks/{task.id}/review")
    log = reader.see("check-log")
    expect(log).to_contain_text("line 399")
    assert _top(log) > 0
    log.evaluate(TO_TOP)

    put(TaskCheck, check.id, log=f"{LONG}\nanother line")
    feed.tell("task:updated", project.id, feed.SEQ + 1, taskId=task.id, changed=["checks"])
    expect(log).to_contain_text("another line")
    assert _top(log) == 0

    # Who is at its end stays there.
    log.evaluate(TO_TOP.replace("scrollTop = 0", "scrollTop = box.scrollHeight"))
    put(TaskCheck, check.id, log=f"{LONG}\n{LONG}")
    feed.tell("task:updated", project.id, feed.SEQ + 2, taskId=task.id, changed=["checks"])
    expect(log).not_to_contain_text("another line")
    assert log.evaluate("box => box.scrollHeight - box.scrollTop - box.clientHeight") < 2
