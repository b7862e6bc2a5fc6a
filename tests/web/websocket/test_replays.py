"""Events that the stream brings while older ones are read; on a real database, without a server."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from common.events.feed import Entry
from common.services.activity import events
from common.values.states import Role
from tests.web.websocket.feed_server import Person, new_person, new_project, new_task
from tests.web.websocket.pairs import Pair, received
from web.websocket.permissions import Authority
from web.websocket.subscribers import Subscriber
from web.websocket.topics import Topics

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning")


@pytest.fixture(scope="module")
def admin(lone_admin: Person) -> Person:
    return lone_admin


def follower_of_all(topics: Topics, authority: Authority, person: Person, pair: Pair) -> Subscriber:
    session = authority.admit(person.token)
    authority.read_visible(session)
    made = Subscriber(pair[0], session)
    authority.watch(made)
    topics.follow_all(made)
    return made


def bring(topics: Topics, project_id: str, after: int = 0) -> None:
    """The stream brings the project's events, as far as there are any."""
    rows = events.events_after(project_id, after)
    assert topics.deliver([Entry("event", project_id, row.text, row.seq) for row in rows])


def seqs(pair: Pair, project_id: str) -> list[int]:
    """The events of the project that the client gets now."""
    pair[0].flush()
    said = received(pair[1]).decode(errors="replace")
    return [int(seq) for seq in re.findall(f'}},"projectId":"{project_id}","seq":(\\d+)', said)]


def test_who_follows_all_misses_nothing_of_a_project_that_has_a_subscriber_at_once(
    admin: Person, new_pair: Callable[[], Pair]
) -> None:
    topics = Topics()
    authority = Authority(topics)
    member, other, first = new_pair(), new_pair(), new_pair()
    follower_of_all(topics, authority, new_person(admin, Role.MEMBER), member)
    follower_of_all(topics, authority, admin, other)
    project_id = new_project(admin)
    new_task(admin, project_id)
    head = events.feed_heads([project_id])[project_id]
    topics.subscribe(Subscriber(first[0], authority.admit(admin.token)), project_id, None)
    bring(topics, project_id)
    new_task(admin, project_id)
    bring(topics, project_id, head)

    last = events.feed_heads([project_id])[project_id]
    assert last > head > 1
    assert seqs(member, project_id) == list(range(1, last + 1))
    assert seqs(other, project_id) == list(range(1, last + 1))
    assert seqs(first, project_id) == list(range(head + 1, last + 1))
