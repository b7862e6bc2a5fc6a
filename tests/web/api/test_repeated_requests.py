"""A request that comes again word for word is answered without Flask while its reply is the same, and only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, TestResponse

from common.models.account import User
from common.models.task import Task
from common.values.states import Role
from tests import builders
from tests.web.factories import a_project, a_task
from tests.web.world import put
from web.app import Application
from web.http import reply_cache
from web.http.reply_cache import ReplyCache, is_repeatable

Reply = tuple[str, dict[str, str], bytes]


def repeated(client: FlaskClient, path: str, **environ: str) -> Reply | None:
    """What the application answers without Flask; None: it leaves the request to Flask."""
    app = client.application
    assert isinstance(app, Application)
    found: list[Any] = []
    asked = EnvironBuilder(path, environ_base=client.environ_base, environ_overrides=environ).get_environ()
    body = app.reply_cache.answer(asked, lambda *start: found.extend(start))  # type: ignore[arg-type]
    return None if body is None else (found[0], dict(found[1]), b"".join(body))


def list_with(task: Task) -> str:
    return f"/api/tasks?projectId={task.project_id}&limit=5"


def page_of(task: Task) -> str:
    return f"/api/tasks/{task.id}"


def as_flask(reply: TestResponse) -> Reply:
    return reply.status, dict(reply.headers), reply.data


@pytest.mark.parametrize("path_of", [list_with, page_of])
@pytest.mark.parametrize("has_it", [False, True])
def test_a_repeated_reply_is_the_one_that_flask_sent(
    member: FlaskClient, path_of: Callable[[Task], str], has_it: bool
) -> None:
    path = path_of(a_task(a_project()))
    request_id = {"HTTP_X_REQUEST_ID": "mine-1"}
    tag = {"HTTP_IF_NONE_MATCH": member.get(path).headers["ETag"]} if has_it else {}
    assert repeated(member, path, **tag) is None

    first = member.get(path, environ_overrides={**tag, **request_id})

    assert first.status_code == (304 if has_it else 200)
    assert repeated(member, path, **tag, **request_id) == as_flask(first)
    again = member.get(path, environ_overrides={**tag, "HTTP_X_REQUEST_ID": "mine-2"})
    assert as_flask(again) == (first.status, {**first.headers, "X-Request-ID": "mine-2"}, first.data)


def test_a_change_is_answered_by_flask(member: FlaskClient, maintainer: FlaskClient) -> None:
    task = a_task(a_project())
    paths = list_with(task), page_of(task)
    for path in paths:
        member.get(path)
        assert repeated(member, path) is not None

    assert maintainer.patch(page_of(task), json={"title": "Another"}).status_code == 200

    assert [repeated(member, path) for path in paths] == [None, None]
    assert member.get(paths[0]).get_json()["tasks"][0]["title"] == "Another"
    assert member.get(paths[1]).get_json()["task"]["title"] == "Another"


def test_who_was_logged_out_or_deactivated_is_refused(admin: FlaskClient) -> None:
    path = page_of(a_task(a_project()))
    user = builders.a_user("lou", Role.MEMBER)
    by_token = builders.client_of(admin.application, user)
    asked = {"username": "lou", "password": builders.PASSWORD}
    token = admin.application.test_client().post("/api/auth/login", json=asked).get_json()["accessToken"]
    by_login = builders.client_with(admin.application, token)
    for client in (by_token, by_login):
        client.get(path)
        assert repeated(client, path) is not None

    assert by_login.post("/api/auth/logout").status_code == 204
    assert by_login.get(path).status_code == 401
    put(User, user.id, is_active=False)
    assert by_token.get(path).status_code == 401


def test_a_reply_is_repeated_to_who_asked_alone(member: FlaskClient, maintainer: FlaskClient) -> None:
    path = page_of(a_task(a_project()))
    member.get(path)

    assert repeated(maintainer, path) is None
    assert repeated(member, path, HTTP_AUTHORIZATION="Bearer x") is None
    assert repeated(member.application.test_client(), path) is None


@pytest.mark.parametrize(
    "environ",
    [
        {"REQUEST_METHOD": "HEAD"},
        {"HTTP_HOST": "attacker.example"},
        {"CONTENT_LENGTH": "2"},
        {"QUERY_STRING": "limit=1"},
    ],
)
def test_another_request_is_not_the_same(member: FlaskClient, environ: dict[str, str]) -> None:
    path = page_of(a_task(a_project()))
    member.get(path)
    assert repeated(member, path) is not None

    assert repeated(member, path, **environ) is None


def keep(app: Flask, kept: ReplyCache, path: str, look: Callable[[], object], content: bytes = b"{}") -> dict[str, Any]:
    """The reply to a request for the path is kept; returns the request's environment."""
    environ = EnvironBuilder(path).get_environ()
    with app.request_context(environ):
        is_repeatable(content, look, 1)
        kept.keep(environ, "200 OK", [])
    return environ


def test_the_oldest_replies_go_when_there_are_too_many(plain_app: Flask) -> None:
    assert isinstance(plain_app, Application)
    kept = ReplyCache(plain_app.counts)
    third = b"x" * (reply_cache.MOST_BYTES // 3)
    first, second, third_one = (keep(plain_app, kept, f"/{name}", lambda: 1, third) for name in "abc")

    def is_kept(environ: dict[str, Any]) -> bool:
        return kept.answer(environ, lambda *_start: None) is not None  # type: ignore[arg-type]

    assert [is_kept(environ) for environ in (first, second, third_one)] == [False, True, True]
