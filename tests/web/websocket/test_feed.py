"""What a subscriber of the WebSocket hears, and what a long poll does, against a real gunicorn with a real Redis."""

from __future__ import annotations

import contextlib
import http.client
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from common.jobs.announcer import announcer
from common.services.activity import events
from common.services.people import accounts
from common.services.projects import projects
from common.values.states import Role
from tests.long_waits import LONG_WAIT_SECONDS
from tests.web.websocket.feed_server import (
    Client,
    Person,
    Server,
    new_person,
    new_project,
    new_task,
    notify_person,
    tell_project,
    tell_task,
    wake,
    without_stream,
    write_events,
)

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning")

MISSING = "01900000-0000-7000-8000-000000000000"


def test_an_event_arrives_byte_for_byte_as_it_is_stored(server: Server, member: Person, project_id: str) -> None:
    with Client(server.url, member.token) as client:
        subscribed = client.ask("subscribe", projectId=project_id)
        head = events.feed_heads([project_id])[project_id]
        assert subscribed == {"event": "subscribed", "data": {"projectId": project_id, "seq": head}}

        write_events(project_id)
        text = client.socket.recv(LONG_WAIT_SECONDS)

    assert [text] == [row.text for row in events.events_after(project_id, head)]


def test_what_was_missed_comes_first_then_what_happens(server: Server, member: Person, project_id: str) -> None:
    write_events(project_id, 1200)
    with Client(server.url, member.token) as client:
        subscribed = client.ask("subscribe", projectId=project_id, afterSeq=3)
        assert subscribed["data"]["seq"] == 3
        head = events.feed_heads([project_id])[project_id]
        assert client.seqs(project_id, head) == list(range(4, head + 1))
        write_events(project_id, 2)
        assert client.seqs(project_id, head + 2) == [head + 1, head + 2]


def test_a_gap_in_the_stream_is_filled_with_rows(server: Server, member: Person, project_id: str) -> None:
    with Client(server.url, member.token) as client:
        start = client.ask("subscribe", projectId=project_id)["data"]["seq"]
        with without_stream():
            write_events(project_id, 3)
            announcer().flush(LONG_WAIT_SECONDS)
        write_events(project_id)
        assert client.seqs(project_id, start + 4) == [start + 1, start + 2, start + 3, start + 4]


def test_everything_includes_projects_made_later_and_nothing_twice(
    server: Server, admin: Person, member: Person, project_id: str
) -> None:
    with Client(server.url, member.token) as client:
        client.ask("subscribe", projectId=project_id)
        assert client.ask("subscribe") == {"event": "subscribed", "data": {}}
        write_events(project_id)
        hidden = new_project(admin, restricted=True)
        later = new_project(admin)
        write_events("platform")

        heard = [(message["projectId"], message["seq"]) for message in (client.receive() for _ in range(3))]

    assert heard[:2] == [(project_id, 2), (later, 1)]
    assert heard[2][0] == "platform"
    assert hidden not in dict(heard)


def test_a_foreign_project_looks_like_a_missing_one(server: Server, admin: Person, member: Person) -> None:
    hidden = new_project(admin, restricted=True)
    task_id = new_task(admin, hidden)
    with Client(server.url, member.token) as client:
        replies = [client.ask("subscribe", projectId=name) for name in (hidden, MISSING, "*", None, [hidden])]
        replies += [client.ask("subscribe", projectId=hidden, afterSeq=0)]
        replies += [client.ask("follow", taskId=name) for name in (task_id, MISSING, None)]

    assert replies == [{"event": "error", "data": {"message": "Resource not found"}}] * len(replies)


def test_what_is_for_one_person_reaches_all_their_sockets_and_nobody_else(
    server: Server, admin: Person, member: Person, project_id: str
) -> None:
    with Client(server.url, admin.token) as other, Client(server.url, member.token) as one:
        other.ask("subscribe")
        with Client(server.url, member.token) as two:
            notify_person(member.caller.user_id, "review:draft_changed", "mine")
            said = {"event": "review:draft_changed", "data": {"message": "mine"}}
            assert [one.receive(), two.receive()] == [said, said]
        notify_person(member.caller.user_id, "review:draft_changed", "again")
        tell_project(project_id, "job:progress", "for all")
        assert one.receive()["data"]["message"] == "again"
        assert other.receive()["event"] == "job:progress"


def test_logs_reach_who_follows_the_task_and_progress_who_subscribes(
    server: Server, member: Person, project_id: str
) -> None:
    task_id = new_task(member, project_id)
    with Client(server.url, member.token) as follower, Client(server.url, member.token) as subscriber:
        follower.send("follow", taskId=task_id)
        follower.ask("subscribe", projectId="platform")  # its answer says that the one before has been read
        subscriber.ask("subscribe", projectId=project_id)
        tell_task(project_id, task_id, "task:log", "one")
        tell_project(project_id, "job:progress", "half")

        assert follower.receive()["event"] == "task:log"
        assert subscriber.receive() == {
            "event": "job:progress",
            "data": {"message": "half"},
            "projectId": project_id,
        }

        follower.send("unfollow", taskId=task_id)
        follower.ask("unsubscribe", projectId="platform")
        tell_task(project_id, task_id, "task:log", "two")
        tell_project(project_id, "job:progress", "whole")
        subscriber.receive()  # so the hub is past "two", too
        follower.send("follow", taskId=task_id)
        follower.ask("subscribe", projectId="platform")
        tell_task(project_id, task_id, "task:log", "three")
        assert follower.receive()["data"]["message"] == "three"


def test_who_loses_the_project_loses_the_subscription(server: Server, admin: Person) -> None:
    person = new_person(admin, Role.MEMBER)
    hidden = new_project(admin, restricted=True)
    projects.put_member(hidden, person.caller.user_id, Role.MEMBER, by=admin.caller)
    with Client(server.url, person.token) as client:
        assert client.ask("subscribe", projectId=hidden)["event"] == "subscribed"
        client.ask("subscribe", projectId="platform")
        projects.delete_member(hidden, person.caller.user_id, by=admin.caller)
        lost = client.receive_until("unsubscribed")[-1]
        assert lost["data"] == {"projectId": hidden, "reason": "access ended"}
        write_events(hidden)
        write_events("platform")
        assert client.receive()["projectId"] == "platform"


def test_only_administrators_hear_what_administrators_do(server: Server, admin: Person) -> None:
    other, person = new_person(admin, Role.ADMIN), new_person(admin, Role.MEMBER)
    with (
        Client(server.url, other.token) as subscribed, Client(server.url, person.token) as following,
        Client(server.url, person.token) as curious,
    ):  # fmt: skip
        assert subscribed.ask("subscribe", projectId="administration")["event"] == "subscribed"
        assert following.ask("subscribe")["event"] == "subscribed"
        refused, unknown = (curious.ask("subscribe", projectId=name) for name in ("administration", "nothing"))
        assert (refused["event"], refused["data"]) == ("error", unknown["data"])

        new_person(admin, Role.VIEWER)
        heard = subscribed.receive()
        assert (heard["event"], heard["projectId"], heard["data"]["change"]) == (
            "user:changed", "administration", "created"
        )  # fmt: skip
        write_events("platform")
        assert following.receive()["projectId"] == "platform"

        accounts.update_user(other.caller.user_id, by=admin.caller, role=Role.MAINTAINER)
        lost = subscribed.receive_until("unsubscribed")[-1]
        assert lost["data"] == {"projectId": "administration", "reason": "access ended"}


def test_a_long_poll_is_waked(server: Server) -> None:
    def poll() -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LONG_WAIT_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", "/poll/agent:one")
            return connection.getresponse().read()

    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(poll)
        while not reply.done():
            wake("agent:other")
            wake("agent:one")  # again and again: the poll may not have begun yet
            wait([reply], timeout=0.2)

    assert b"true" in reply.result()


def test_who_comes_back_too_late_is_told_to_read_the_state(server: Server, member: Person, project_id: str) -> None:
    write_events(project_id, 5)
    head = events.feed_heads([project_id])[project_id]
    events.purge_events(older_than_days=-1)
    with Client(server.url, member.token) as client:
        client.send("subscribe", projectId=project_id, afterSeq=1)
        assert client.receive_until("resync")[-1]["data"] == {"projectId": project_id, "seq": head}
        write_events(project_id)
        assert client.seqs(project_id, head + 1) == [head + 1]
