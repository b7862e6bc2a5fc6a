"""Who may use the WebSocket and how long: logins and tokens, origins, and what a client must not send."""

from __future__ import annotations

import contextlib

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from common.services.people import accounts, tokens
from common.values.states import Role
from tests.web.websocket.feed_server import (
    Client,
    Person,
    Server,
    access_token,
    log_in,
)

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning")


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


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", None])
def test_a_bad_token_is_an_error_and_the_end(server: Server, token: object) -> None:
    with Client(server.url) as client:
        assert client.ask("auth", token=token)["event"] == "auth:error"
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


def test_nonsense_is_an_error_and_the_socket_goes_on(server: Server, member: Person) -> None:
    with Client(server.url, member.token) as client:
        for text in ("{", "[]", "null", '{"event": 7}', '{"event": "x", "data": 1}', "[" * 9000, '{"event": "dance"}'):
            client.socket.send(text)
            assert client.receive()["event"] == "error"
        for wrong in (-1, True, "3", None, 1.5):
            assert client.ask("subscribe", projectId="platform", afterSeq=wrong)["event"] == "error"
        for name in ("\ud800", "x\udfff", "\0"):
            assert client.ask(name)["event"] == "error"
            assert client.ask("subscribe", projectId=name)["event"] == "error"
        assert client.ask("subscribe", projectId="platform")["event"] == "subscribed"


def test_logging_out_closes_the_socket(server: Server, admin: Person, member: Person) -> None:
    other = log_in(member.caller.username)
    with Client(server.url, other.token) as leaving, Client(server.url, member.token) as staying:
        accounts.log_out(by=other.caller)
        assert leaving.close_code() == 4401
        assert staying.ask("subscribe", projectId="platform")["event"] == "subscribed"


def test_a_token_that_expires_closes_the_socket_unless_a_fresh_one_came(server: Server, member: Person) -> None:
    with Client(server.url, member.token) as forgetful, Client(server.url, member.token) as careful:
        short = access_token(member.login, seconds=4)
        assert [client.auth(short)["event"] for client in (forgetful, careful)] == ["auth:ok"] * 2
        assert careful.auth(access_token(member.login))["event"] == "auth:ok"
        assert forgetful.close_code() == 4401
        assert careful.ask("subscribe", projectId="platform")["event"] == "subscribed"


def test_a_message_that_is_too_long_closes_with_1009(server: Server, member: Person) -> None:
    with Client(server.url, member.token) as client:
        with contextlib.suppress(ConnectionClosed):
            client.socket.send("x" * 1_000_000)
        assert client.close_code() == 1009
    with Client(server.url, member.token) as client:
        with contextlib.suppress(ConnectionClosed):
            client.socket.send(iter(["x" * 4096] * 5))  # the same in fragments
        assert client.close_code() == 1009


def test_a_flood_closes_with_1008(server: Server, member: Person) -> None:
    with Client(server.url, member.token, max_queue=None) as client:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(500):
                client.send("dance")
        assert client.close_code() == 1008
