"""What a transaction tells others: events without gap in the order of commits, with their author, before messages."""

from __future__ import annotations

import json
import threading

from sqlalchemy import select

from common.events.catalogue import TaskCreated
from common.events.feed import Entry, follow
from common.jobs.announcer import Announcement
from common.jobs.outbox import Outbox, acting, actor
from common.models import Job
from common.transaction import Transaction, snapshot, transactional
from tests.common.test_transaction import _events, _record


def test_many_threads_leave_no_gap_in_a_feed(on_database: str) -> None:
    threads = [
        threading.Thread(target=lambda number=number: [_record("p", f"{number}-{step}") for step in range(20)])
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = _events("p")
    assert [row.seq for row in rows] == list(range(1, 161))
    assert len({row.data for row in rows}) == 160
    with snapshot() as read:
        live = read.all(select(Job))
    assert [(job.state, job.generation) for job in live] == [("queued", 160)]


def test_events_carry_who_acted_and_leave_before_messages(on_database: str) -> None:
    announcement = Announcement()

    @transactional
    def notify(tx: Transaction) -> None:
        outbox = Outbox(tx.late, tx.now, announcement)
        announcement.notify("q", "deploy:progress", {"percent": 1})
        for feed, title in (("q", "one"), ("p", "two"), ("q", "three")):
            outbox.record(TaskCreated(feed=feed, task_id=title, project_id=feed, title=title))
        outbox.write()

    with acting("ada", "req-1"):
        assert actor() == "ada"
        notify()
    assert actor() == "platform"

    sent = [(entry.kind, entry.feed, entry.seq) for entry in announcement.entries]
    assert sent == [("event", "p", 1), ("event", "q", 1), ("event", "q", 2), ("ephemeral", "q", 0)]
    rows = _events("q")
    assert [(row.seq, row.actor, row.request_id) for row in rows] == [(1, "ada", "req-1"), (2, "ada", "req-1")]
    assert [entry.message for entry in announcement.entries[1:3]] == [row.data for row in rows]
    assert [json.loads(row.data)["data"]["title"] for row in rows] == ["one", "three"]


def test_a_lone_event_is_stored_as_it_is_sent(on_database: str) -> None:
    """MariaDB puts its number into the text."""
    followed = follow(block_seconds=5)
    assert next(followed) == []
    titles = ["ü \u2028 \"\\ % %s '", "😀", '"seq":0,"at":']
    for title in titles:
        _record("p", title)

    sent: list[Entry] = []
    while len(sent) < len(titles):
        sent += next(followed)
    followed.close()
    rows = _events("p")
    assert [(entry.seq, entry.message) for entry in sent] == [(row.seq, row.data) for row in rows]
    assert [(json.loads(row.data)["seq"], json.loads(row.data)["data"]["title"]) for row in rows] == [
        (number, title) for number, title in enumerate(titles, start=1)
    ]
