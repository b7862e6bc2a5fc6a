"""One effect for one Idempotency-Key, and the first answer to whoever asks again."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from common.errors import Conflict
from common.models.account import User
from common.models.journal import IdempotencyKey
from common.services.requests.idempotency import purge_idempotency_keys
from common.transaction import Transaction, snapshot, transactional
from common.values.states import Role
from tests import builders
from tests.web.conftest import AppOn
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, body, reply, single
from web.http.fields import Line, Schema


class MakePerson(Schema):
    name = Line(64, required=True)


class Person(Schema):
    id = Line(64)
    username = Line(64)


def _people() -> Blueprint:
    """A resource of this test: a POST that does something which can be counted."""
    people = Blueprint("people", __name__, url_prefix="/api")

    @people.post("/people")
    @allow(Role.MEMBER)
    @body(MakePerson)
    @reply(single("person", Person), 201)
    def make_person(name: str) -> object:
        caller = current_caller()
        builders.a_user(name, Role.VIEWER)
        if name == "refused":
            raise Conflict("refused is refused", field="name")
        return {"id": caller.user_id, "username": name}

    @people.post("/more-people")
    @allow(Role.MEMBER)
    @body(MakePerson)
    @reply(single("person", Person), 201)
    def make_more(name: str) -> object:
        return {"id": current_caller().user_id, "username": name}

    return people


@pytest.fixture
def app(app_on: AppOn, database_url: str) -> Flask:
    made = app_on(database_url)
    made.register_blueprint(_people())
    return made


def post(client: FlaskClient, name: str, key: str, path: str = "/api/people") -> Any:
    return client.post(path, json={"name": name}, headers={"Idempotency-Key": key})


def people_named(name: str) -> int:
    with snapshot() as read:
        return len(read.all(select(User).where(User.username == name)))


def test_the_same_request_again_gets_the_first_answer_byte_for_byte(member: FlaskClient) -> None:
    first, second = post(member, "bob", "k1"), post(member, "bob", "k1")

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.get_data() == first.get_data()
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert people_named("bob") == 1


@pytest.mark.parametrize(("name", "path"), [("bea", "/api/people"), ("bob", "/api/more-people")])
def test_a_key_used_for_another_request_is_a_422(member: FlaskClient, name: str, path: str) -> None:
    post(member, "bob", "k1")

    reply = post(member, name, "k1", path)

    assert reply.status_code == 422
    assert people_named("bea") == 0


def test_each_caller_has_keys_of_their_own(member: FlaskClient, admin: FlaskClient) -> None:
    mine = post(member, "bob", "k1").get_json()

    theirs = post(admin, "bea", "k1")

    assert theirs.status_code == 201
    assert theirs.get_json()["person"]["id"] != mine["person"]["id"]


def test_an_error_is_not_kept_and_leaves_nothing(member: FlaskClient) -> None:
    assert post(member, "refused", "k1").status_code == 409
    assert people_named("refused") == 0

    again = post(member, "bob", "k1")

    assert again.status_code == 201
    assert "Idempotency-Replayed" not in again.headers


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_can_not_be_kept_is_a_400(member: FlaskClient, key: str) -> None:
    reply = post(member, "bob", key)

    assert reply.status_code == 400
    assert reply.json["details"]["field"] == "Idempotency-Key"
    assert people_named("bob") == 0


def test_the_same_request_at_once_happens_once(app: Flask, admin_user: User) -> None:
    token = builders.a_token(admin_user)
    replies: list[Any] = []
    barrier = threading.Barrier(6)

    def send() -> None:
        client = builders.client_with(app, token)
        barrier.wait(60)
        replies.append(post(client, "bob", "k1"))

    threads = [threading.Thread(target=send) for _number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [reply.status_code for reply in replies] == [201] * 6
    assert len({reply.get_data() for reply in replies}) == 1
    assert sum("Idempotency-Replayed" not in reply.headers for reply in replies) == 1
    assert people_named("bob") == 1


def test_old_keys_are_purged_and_young_ones_kept(member: FlaskClient) -> None:
    post(member, "bob", "k1")
    _age_keys(timedelta(hours=25))
    post(member, "bea", "k2")

    assert purge_idempotency_keys() == 1
    assert purge_idempotency_keys() == 0
    assert post(member, "bea", "k2").headers["Idempotency-Replayed"] == "true"


def test_a_reply_with_a_secret_is_never_kept(member: FlaskClient) -> None:
    keys = {"Idempotency-Key": "k1"}
    first = member.post("/api/tokens", json={"name": "ci"}, headers=keys)
    second = member.post("/api/tokens", json={"name": "ci"}, headers=keys)

    assert first.json["token"]["token"] != second.json["token"]["token"]
    with snapshot() as read:
        assert read.all(select(IdempotencyKey)) == []


@transactional
def _age_keys(tx: Transaction, by: timedelta) -> None:
    tx.session.execute(update(IdempotencyKey).values(created_at=datetime.now(UTC) - by))


def test_a_replay_needs_the_access_that_the_first_request_had(app: Flask, admin: FlaskClient) -> None:
    mia = builders.a_user("mia")
    client = builders.client_of(app, mia)
    project = admin.post("/api/projects", json={"name": "Shop"}).json["project"]
    body, headers = {"projectId": project["id"], "title": "Secret plan"}, {"Idempotency-Key": "k"}
    first = client.post("/api/tasks", json=body, headers=headers)
    assert client.post("/api/tasks", json=body, headers=headers).data == first.data

    assert admin.patch(f"/api/projects/{project['id']}", json={"restricted": True}).status_code == 200

    again = client.post("/api/tasks", json=body, headers=headers)
    assert again.status_code == 404
    assert b"Secret plan" not in again.data
    assert admin.put(f"/api/projects/{project['id']}/members/{mia.id}", json={"role": "viewer"}).status_code == 200
    assert client.post("/api/tasks", json=body, headers=headers).status_code == 403
    assert admin.put(f"/api/projects/{project['id']}/members/{mia.id}", json={"role": "member"}).status_code == 200
    assert client.post("/api/tasks", json=body, headers=headers).data == first.data
