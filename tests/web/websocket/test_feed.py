"""What a client of the WebSocket may say and hears, against a real gunicorn with a real Redis."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from common.announcer import announcer
from common.services import events
from common.services.people import accounts, tokens
from common.services.projects import projects
from common.states import Role
from tests.databases import sqlite_url
from tests.web.websocket.feed_server import (
    Client,
    Person,
    Server,
    access_token,
    drop_project,
    instance,
    log_in,
    new_admin,
    new_person,
    new_project,
    new_task,
    running_server,
    tell_project,
    tell_task,
    wake,
    without_stream,
    write_events,
)

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning")

MISSING = "01900000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def server(sqlite_template: Path, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data_dir = tmp_path_factory.mktemp("feed")
    shutil.copy(sqlite_template, data_dir / "aiworker.db")
    with instance(sqlite_url(data_dir / "aiworker.db"), redis_url, data_dir), running_server(data_dir) as made:
        yield made


@pytest.fixture(scope="module")
def admin(server: Server) -> Person:
    return new_admin()


@pytest.fixture(scope="module")
def member(admin: Person) -> Person:
    return new_person(admin, Role.MEMBER)


@pytest.fixture
def project_id(admin: Person) -> str:
    return new_project(admin)


@pytest.fixture(params=["/", "/ws"])
def url(server: Server, request: pytest.FixtureRequest) -> str:
    return f"{server.url}{request.param}"


def test_auth_is_answered_with_who_one_is_at_both_paths(url: str, member: Person) -> None:
    with Client(url) as client:
        reply = client.auth(member.token)

    assert reply["event"] == "auth:ok"
    assert {key: reply["data"][key] for key in ("userId", "username", "role")} == {
        "userId": member.caller.user_id,
        "username": member.caller.username,
        "role": "member",
    }
    assert reply["data"]["expiresAt"].endswith("Z")


def test_the_page_is_served_at_the_same_path_without_an_upgrade(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/")
    reply = connection.getresponse()
    body = reply.read()
    connection.close()

    assert reply.status == 200
    assert b"<html" in body


def test_compression_is_refused(server: Server) -> None:
    with Client(server.url) as client:
        assert client.socket.protocol.extensions == []


@pytest.mark.parametrize("token", ["nonsense", "", "a.b.c", "ü" * 10, 7, None, ["x"]])
def test_a_bad_token_is_an_error_and_the_end(server: Server, token: object) -> None:
    with Client(server.url) as client:
        assert client.ask("auth", token=token)["event"] == "auth:error"
        assert client.close_code() == 4401


def test_a_token_in_the_address_counts_for_nothing(server: Server, member: Person, project_id: str) -> None:
    with Client(f"{server.url}/ws?token={member.token}") as client:
        assert client.ask("subscribe", projectId=project_id)["event"] == "auth:error"
        assert client.close_code() == 4401


def test_an_api_token_is_as_good_and_has_no_expiry_to_tell(server: Server, member: Person) -> None:
    token = tokens.create_api_token(by=member.caller, name="t", role=Role.VIEWER)
    with Client(server.url) as client:
        reply = client.auth(token.token)

    assert reply["data"]["role"] == "viewer"
    assert "expiresAt" not in reply["data"]


def test_pages_of_other_sites_are_refused_and_our_own_are_not(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused, Client(server.url, origin="http://evil.example"):
        pass
    assert refused.value.response.status_code == 403

    with Client(server.url, origin=f"http://127.0.0.1:{server.port}"):
        pass


def test_an_event_arrives_byte_for_byte_as_it_is_stored(server: Server, member: Person, project_id: str) -> None:
    with Client(server.url, member.token) as client:
        subscribed = client.ask("subscribe", projectId=project_id)
        head = events.feed_heads([project_id])[project_id]
        assert subscribed == {"event": "subscribed", "data": {"projectId": project_id, "seq": head}}

        write_events(project_id)
        text = client.socket.recv(20)

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


def test_an_event_that_was_never_published_arrives_from_the_database(
    server: Server, member: Person, project_id: str
) -> None:
    with Client(server.url, member.token) as client:
        start = client.ask("subscribe", projectId=project_id)["data"]["seq"]
        with without_stream():
            write_events(project_id, 3)
            announcer().flush(10)
        assert client.seqs(project_id, start + 3) == [start + 1, start + 2, start + 3]


def test_a_gap_in_the_stream_is_filled_with_rows(server: Server, member: Person, project_id: str) -> None:
    with Client(server.url, member.token) as client:
        start = client.ask("subscribe", projectId=project_id)["data"]["seq"]
        with without_stream():
            write_events(project_id, 3)
            announcer().flush(10)
        write_events(project_id)
        assert client.seqs(project_id, start + 4) == [start + 1, start + 2, start + 3, start + 4]


def test_who_comes_back_too_late_is_told_to_read_the_state(server: Server, member: Person, project_id: str) -> None:
    write_events(project_id, 5)
    head = events.feed_heads([project_id])[project_id]
    events.purge_events(older_than_days=-1)
    with Client(server.url, member.token) as client:
        client.send("subscribe", projectId=project_id, afterSeq=1)
        assert client.receive_until("resync")[-1]["data"] == {"projectId": project_id, "seq": head}
        write_events(project_id)
        assert client.seqs(project_id, head + 1) == [head + 1]


def test_who_knows_more_than_there_is_is_told_to_read_the_state(
    server: Server, member: Person, project_id: str
) -> None:
    with Client(server.url, member.token) as client:
        client.send("subscribe", projectId=project_id, afterSeq=10_000)
        head = client.receive_until("resync")[-1]["data"]["seq"]
        write_events(project_id)
        assert client.seqs(project_id, head + 1) == [head + 1]


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


def test_nonsense_is_an_error_and_the_socket_goes_on(server: Server, member: Person) -> None:
    with Client(server.url, member.token) as client:
        for text in ("{", "[]", "null", '{"event": 7}', '{"event": "x", "data": 1}', "[" * 9000, '{"event": "dance"}'):
            client.socket.send(text)
            assert client.receive()["event"] == "error"
        for wrong in (-1, True, "3", None, 1.5):
            assert client.ask("subscribe", projectId="platform", afterSeq=wrong)["event"] == "error"
        assert client.ask("subscribe", projectId="platform")["event"] == "subscribed"


def test_the_51st_subscription_is_an_error(server: Server, admin: Person, member: Person) -> None:
    ids = [new_project(admin) for _ in range(51)]
    with Client(server.url, member.token) as client:
        answers = [client.ask("subscribe", projectId=project_id)["event"] for project_id in ids]
        assert answers == ["subscribed"] * 50 + ["error"]
        assert client.ask("unsubscribe", projectId=ids[0])["event"] == "unsubscribed"
        assert client.ask("subscribe", projectId=ids[50])["event"] == "subscribed"


def test_nothing_comes_after_unsubscribing(server: Server, member: Person, project_id: str) -> None:
    with Client(server.url, member.token) as client:
        client.ask("subscribe", projectId=project_id)
        client.ask("subscribe", projectId="platform")
        reply = client.ask("unsubscribe", projectId=project_id)
        assert reply == {"event": "unsubscribed", "data": {"projectId": project_id}}
        write_events(project_id)
        write_events("platform")
        assert client.receive()["projectId"] == "platform"


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


def test_logging_out_closes_the_socket(server: Server, admin: Person, member: Person) -> None:
    other = log_in(member.caller.username)
    with Client(server.url, other.token) as leaving, Client(server.url, member.token) as staying:
        accounts.log_out(by=other.caller)
        assert leaving.close_code() == 4401
        assert staying.ask("subscribe", projectId="platform")["event"] == "subscribed"


def test_a_revocation_that_was_never_published_closes_the_socket_too(server: Server, member: Person) -> None:
    other = log_in(member.caller.username)
    with Client(server.url, other.token) as client:
        with without_stream():
            accounts.log_out(by=other.caller)
            announcer().flush(10)
        assert client.close_code() == 4401


def test_a_token_that_expires_closes_the_socket_unless_a_fresh_one_came(server: Server, member: Person) -> None:
    short = access_token(member.login, seconds=3)
    with Client(server.url, short) as forgetful, Client(server.url, short) as careful:
        assert careful.auth(access_token(member.login))["event"] == "auth:ok"
        assert forgetful.close_code() == 4401
        assert careful.ask("subscribe", projectId="platform")["event"] == "subscribed"


def test_another_users_token_is_refused_on_an_open_socket(server: Server, admin: Person, member: Person) -> None:
    with Client(server.url, admin.token) as client:
        assert client.auth(member.token)["event"] == "auth:error"
        assert client.close_code() == 4401


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


def test_a_project_that_is_gone_ends_its_subscriptions(server: Server, admin: Person, project_id: str) -> None:
    with Client(server.url, admin.token) as client:
        client.ask("subscribe", projectId=project_id)
        drop_project(project_id)
        assert client.receive_until("unsubscribed")[-1]["data"]["projectId"] == project_id


def test_a_new_membership_brings_its_project_to_who_follows_everything(server: Server, admin: Person) -> None:
    person = new_person(admin, Role.MEMBER)
    hidden = new_project(admin, restricted=True)
    with Client(server.url, person.token) as client:
        client.ask("subscribe")
        projects.put_member(hidden, person.caller.user_id, Role.VIEWER, by=admin.caller)
        heard = False
        while not heard:
            write_events(hidden)
            write_events("platform")
            heard = any(message["projectId"] == hidden for message in client.receive_until("task:created"))


def test_a_message_that_is_too_long_closes_with_1009(server: Server, member: Person) -> None:
    with Client(server.url, member.token) as client:
        client.socket.send("x" * 1_000_000)
        assert client.close_code() == 1009
    with Client(server.url, member.token) as client:
        client.socket.send(iter(["x" * 4096] * 5))  # the same in fragments
        assert client.close_code() == 1009


def test_a_flood_closes_with_1008(server: Server, member: Person) -> None:
    with Client(server.url, member.token, max_queue=None) as client:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(500):
                client.send("dance")
        assert client.close_code() == 1008


def test_a_message_of_bytes_closes_with_1003(server: Server, member: Person) -> None:
    with Client(server.url, member.token) as client:
        client.socket.send(b"{}")
        assert client.close_code() == 1003


def test_a_handshake_without_a_key_or_version_is_refused(server: Server) -> None:
    head = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    for rest, status in ((b"\r\n", b"426"), (b"Sec-WebSocket-Version: 13\r\n\r\n", b"400")):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
            raw.sendall(head + rest)
            assert raw.recv(4096).split()[1] == status


def test_a_client_that_closes_gets_its_answer(server: Server) -> None:
    with Client(server.url) as client:
        client.socket.close(1000)
        assert client.socket.protocol.close_rcvd is not None
        assert client.socket.protocol.close_rcvd.code == 1000


def test_pings_are_answered(server: Server) -> None:
    with Client(server.url) as client:
        assert client.socket.ping().wait(20)


def test_a_long_poll_is_waked(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/poll/agent:one")
    connection.sock.settimeout(0.2)
    reply = None
    while reply is None:
        wake("agent:other")
        wake("agent:one")  # again and again: the poll may not have begun yet
        try:
            reply = connection.getresponse().read()
        except TimeoutError:
            continue
    connection.close()

    assert b"true" in reply
