"""Events that the stream brings while older ones are read; on a real database, without a server."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from common.feed import Entry
from common.services import events
from tests.web.websocket.feed_server import Person, new_project, new_task
from tests.web.websocket.pairs import Pair, received
from web.websocket.authority import Authority
from web.websocket.subscribers import Subscriber
from web.websocket.topics import Topics

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning")


@pytest.fixture(scope="module")
def admin(lone_admin: Person) -> Person:
    return lone_admin


def test_who_is_ahead_of_a_stream_that_lags_misses_nothing(
    admin: Person, new_pair: Callable[[], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = Topics()
    authority = Authority(topics)
    project_id = new_project(admin)
    (early, _earlys), (late, lates) = new_pair(), new_pair()
    topics.subscribe(Subscriber(early, authority.admit(admin.token)), project_id, None)
    new_task(admin, project_id)
    has_read = events.feed_heads([project_id])[project_id]

    def catch_up(read: Callable[..., list[events.StoredEvent]] = events.events_after) -> None:
        """The stream brings what it had left behind, and one more."""
        new_task(admin, project_id)
        rows = read(project_id, 0, 100)
        assert topics.deliver([Entry("event", project_id, row.text, row.seq) for row in rows])

    def reads_slowly(*given: object, read: Callable[..., list[events.StoredEvent]] = events.events_after) -> object:
        monkeypatch.undo()
        rows = read(*given)
        catch_up()
        return rows

    monkeypatch.setattr(events, "events_after", reads_slowly)
    topics.subscribe(Subscriber(late, authority.admit(admin.token)), project_id, has_read)
    late.flush()

    newest = events.feed_heads([project_id])[project_id]
    said = received(lates).decode(errors="replace")
    assert '"resync"' not in said
    assert [int(seq) for seq in re.findall(r'"seq":\s*(\d+)', said)][1:] == list(range(has_read + 1, newest + 1))
