"""The durable record: who may read it, in what order, and what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from common.errors import NotFound
from common.events.catalogue import ADMINISTRATION, PLATFORM, TaskCreated
from common.jobs.outbox import acting
from common.models.journal import EventRow
from common.services.activity import events
from common.services.projects import projects
from common.services.requests.access import Caller
from common.transaction import Transaction, snapshot, transactional
from common.values.names import new_id
from common.values.states import Role
from tests.web.websocket.feed_server import Person, instance, new_admin, new_person, new_project, new_task, write_events

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning")


@pytest.fixture
def admin(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Person]:
    with instance(database_url, redis_url, tmp_path):
        yield new_admin()


@pytest.fixture
def member(admin: Person) -> Caller:
    return new_person(admin, Role.MEMBER).caller


@transactional
def make_older(tx: Transaction, feed_id: str, seq: int, days: float) -> None:
    row = tx.session.get_one(EventRow, (feed_id, seq))
    row.at = row.at - timedelta(days=days)


def seqs(rows: list[events.StoredEvent]) -> list[int]:
    return [row.seq for row in rows]


def test_events_are_read_oldest_first_after_a_seq_and_by_name(admin: Person, member: Caller) -> None:
    with acting("ada"):
        project_id = new_project(admin)
        write_events(project_id, 3)

    rows = events.list_events(member, feed_id=project_id, after_seq=1, type=None, limit=2)
    created = events.list_events(member, feed_id=project_id, type="task:created")

    assert seqs(rows) == [2, 3]
    assert seqs(created) == [2, 3, 4]
    assert {(row.name, row.actor) for row in rows} == {("task:created", "ada")}
    assert rows[0].text.startswith('{"event":"task:created","data":{')


def test_a_project_that_is_not_seen_has_no_events(admin: Person, member: Caller) -> None:
    hidden = new_project(admin, restricted=True)
    task_id = new_task(admin, hidden)

    with pytest.raises(NotFound):
        events.list_events(member, feed_id=hidden)
    with pytest.raises(NotFound):
        events.task_events(member, task_id)
    with pytest.raises(NotFound):
        events.may_follow_task(member, task_id)
    assert seqs(events.list_events(admin.caller, feed_id=hidden)) == [1, 2]
    assert events.may_follow_task(admin.caller, task_id) == hidden


def test_what_may_be_followed_follows_membership(admin: Person, member: Caller) -> None:
    open_id, hidden = new_project(admin), new_project(admin, restricted=True)

    assert events.visible_feeds(admin.caller) is None
    assert events.visible_feeds(member) == {PLATFORM, open_id}
    assert events.visible_among(member, [open_id, hidden, new_id()]) == {open_id}
    projects.put_member(hidden, member.user_id, Role.VIEWER, by=admin.caller)
    assert events.visible_feeds(member) == {PLATFORM, open_id, hidden}
    assert events.visible_among(member, [open_id, hidden]) == {open_id, hidden}
    assert events.visible_among(admin.caller, [hidden, "gone"]) == {hidden}


def test_what_is_kept_has_no_gap(admin: Person) -> None:
    project_id, other = new_project(admin), new_project(admin)
    write_events(project_id, 9)
    make_older(project_id, 4, 8)
    make_older(project_id, 2, 8)
    make_older(project_id, 7, 6)

    assert events.purge_events() == 4
    assert events.purge_events() == 0

    assert seqs(events.events_after(project_id, 0)) == [5, 6, 7, 8, 9, 10]
    assert seqs(events.events_after(other, 0)) == [1]
    assert events.feed_heads([project_id]) == {project_id: 10}


def test_events_of_a_transaction_that_fails_do_not_exist(admin: Person) -> None:
    project_id = new_project(admin)

    @transactional
    def fail(tx: Transaction) -> None:
        tx.record(TaskCreated(feed=project_id, task_id="t", project_id=project_id, title="never"))
        raise NotFound("on purpose")

    with pytest.raises(NotFound):
        fail()
    write_events(project_id)

    assert seqs(events.events_after(project_id, 0)) == [1, 2]
    with snapshot() as read:
        assert read.session.get(EventRow, (project_id, 3)) is None


def test_the_feed_of_administration_is_for_administrators(admin: Person, member: Caller) -> None:
    project_id = new_project(admin)
    viewing = replace(admin.caller, role=Role.VIEWER)  # an administrator's API token of a lower role

    for caller in (member, viewing):
        with pytest.raises(NotFound):
            events.list_events(caller, feed_id=ADMINISTRATION)
        assert events.visible_feeds(caller) == {PLATFORM, project_id}
        assert events.visible_among(caller, [ADMINISTRATION, PLATFORM]) == {PLATFORM}
    assert [row.name for row in events.list_events(admin.caller, feed_id=ADMINISTRATION)] == ["user:changed"]
    assert events.visible_among(admin.caller, [ADMINISTRATION, PLATFORM]) == {ADMINISTRATION, PLATFORM}
