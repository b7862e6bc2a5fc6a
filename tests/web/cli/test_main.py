"""The command line as a person types it: its whole program against a real server."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from common.services.people import tokens
from common.services.people.tokens import list_api_tokens
from common.services.requests.access import Caller
from common.services.requests.paging import PageQuery
from common.settings import settings
from common.values.states import ProjectState, Role
from tests import builders
from tests.web.factories import a_project, a_question, a_task, ready_task, set_state
from tests.web.world import events, forget_providers, served
from web.cli import main, operators
from web.cli.client import Api


class Screen(io.StringIO):
    """A terminal that keeps what it shows."""

    def isatty(self) -> bool:
        return True


def aiworker(*words: str, code: int = 0, is_screen: bool = False, lines: int = 1, **environ: str) -> str:
    """What the command says; its exit status must be `code`, and a failure is one line, or as many as given.

    is_screen: the output goes to a terminal. In this process: a new one for each of the many commands here would take
    longer than all that they do.
    """
    said, complained = Screen() if is_screen else io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["aiworker", *words])
        settings.cache_clear()
        forget_providers()
        with redirect_stdout(said), redirect_stderr(complained), pytest.raises(SystemExit) as ended:
            main.main()
    settings.cache_clear()
    forget_providers()
    assert (ended.value.code or 0) == code, f"{words}: {said.getvalue()}\n{complained.getvalue()}"
    if code == 1 and complained.getvalue():
        assert len(complained.getvalue().strip().splitlines()) == lines, complained.getvalue()
    return (said.getvalue() + complained.getvalue()).strip()


def aiworker_json(*words: str) -> Any:
    return json.loads(aiworker("--json", *words))


@pytest.fixture
def admin_caller(plain_app: Flask) -> Caller:
    return builders.caller_of(builders.a_user("ada", Role.ADMIN))


@pytest.fixture
def platform(plain_app: Flask, admin_caller: Caller, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of this test's instance; commands find it, and no token is given to them."""
    monkeypatch.delenv("AIWORKER_TOKEN", raising=False)
    with served() as url:
        monkeypatch.setenv("AIWORKER_URL", url)
        yield url


@pytest.mark.usefixtures("platform")
def test_a_long_command_gets_a_new_token_before_its_own_ends(
    admin_caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed() -> list[str]:
        return [one.id for one in list_api_tokens(admin_caller, PageQuery()).items]

    with Api() as api:
        api.call("GET", "/auth/me")
        (first,) = listed()
        api.call("GET", "/auth/me")
        assert listed() == [first]
        monkeypatch.setattr(operators, "RENEWAL_SECONDS", operators.LOCAL_TOKEN_SECONDS + 1)
        api.call("GET", "/auth/me")
        (second,) = listed()
        assert second != first
        # Somebody revoked it meanwhile.
        tokens.delete_api_token(second, by=admin_caller)
        api.call("GET", "/auth/me")
        assert second not in listed()
    assert listed() == []


@pytest.mark.slow
def test_users_and_tokens_are_kept_on_the_database(plain_app: Flask) -> None:
    assert "no active administrator" in aiworker("token", "create", "ci", code=1)
    aiworker("user", "add", "ada", "--role", "admin", "--password", builders.PASSWORD)
    assert "taken" in aiworker("user", "add", "ADA", "--password", builders.PASSWORD, code=1)
    aiworker("user", "add", "vic", "--role", "viewer", "--password", builders.PASSWORD)
    aiworker("user", "role", "vic", "member")
    users = aiworker_json("user", "list")["users"]
    assert {one["username"]: one["role"] for one in users} == {"ada": "admin", "vic": "member"}
    assert "last active administrator" in aiworker("user", "role", "ada", "viewer", code=1)
    assert "there is no user nobody" in aiworker("user", "role", "nobody", "viewer", code=1)

    assert "not a number of days" in aiworker("token", "create", "ci", "--days", "nan", code=2, lines=4)
    token = aiworker("token", "create", "ci", "--user", "vic", "--days", "1")
    client = builders.client_with(plain_app, token)
    assert client.get("/api/auth/me").json["user"]["username"] == "vic"
    aiworker("user", "password", "vic", "--password", "yet another password")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO("another password\n"))
        assert aiworker("user", "password", "vic") == "vic has a new password and is logged out everywhere."
        patch.setattr(sys, "stdin", io.StringIO())
        assert "or on standard input" in aiworker("user", "password", "vic", code=1)
    logged_in = plain_app.test_client().post(
        "/api/auth/login", json={"username": "vic", "password": "another password"}
    )
    assert logged_in.status_code == 200
    assert client.get("/api/auth/me").status_code == 401

    client = builders.client_with(plain_app, aiworker("token", "create", "ci", "--user", "vic", "--days", "1"))
    assert client.get("/api/auth/me").status_code == 200
    listed = aiworker_json("token", "list", "--user", "vic")["tokens"]
    assert [one["name"] for one in listed] == ["ci"]
    # As the API writes it.
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", listed[0]["expiresAt"])
    aiworker("token", "revoke", listed[0]["id"], "--user", "vic")
    assert client.get("/api/auth/me").status_code == 401


def test_what_is_done_to_users_tokens_and_the_schema_is_printed_as_json(plain_app: Flask) -> None:
    made = aiworker_json("user", "add", "ada", "--role", "admin", "--password", builders.PASSWORD)
    assert made == {"user": {"id": made["user"]["id"], "username": "ada", "role": "admin", "active": True}}
    changed = {"user": made["user"] | {"role": "maintainer"}}
    aiworker("user", "add", "eve", "--role", "admin", "--password", builders.PASSWORD)
    assert aiworker_json("user", "role", "ada", "maintainer") == changed
    assert aiworker_json("user", "password", "ada", "--password", "yet another password") == changed
    token = aiworker_json("token", "create", "ci", "--user", "ada")["token"]
    assert aiworker_json("token", "revoke", token["id"], "--user", "ada") == {"token": {"id": token["id"]}}
    up_to_date = {"schema": {"isCurrent": True}}
    assert [aiworker_json("db", "upgrade"), aiworker_json("db", "status")] == [up_to_date, up_to_date]


@pytest.mark.slow
def test_a_schema_is_brought_up_to_date(plain_app: Flask, tmp_path: Path) -> None:
    fresh = {"AIWORKER_DATABASE_URL": f"sqlite:///{tmp_path / 'fresh.db'}"}
    assert "aiworker db upgrade" in aiworker("db", "status", code=1, **fresh)
    aiworker("db", "upgrade", **fresh)
    aiworker("db", "upgrade", **fresh)
    assert aiworker("db", "status", **fresh) == "The schema is up to date."


@pytest.mark.slow
def test_the_first_administrator_comes_with_the_schema_where_the_settings_say_so(
    plain_app: Flask, tmp_path: Path
) -> None:
    fresh = {"AIWORKER_DATABASE_URL": f"sqlite:///{tmp_path / 'fresh.db'}"}
    aiworker("db", "upgrade", **fresh)
    assert json.loads(aiworker("--json", "user", "list", **fresh))["users"] == []
    aiworker("db", "upgrade", AIWORKER_ADMIN_PASSWORD="a password of theirs", **fresh)
    aiworker("db", "upgrade", AIWORKER_ADMIN_PASSWORD="another one", **fresh)
    (made,) = json.loads(aiworker("--json", "user", "list", **fresh))["users"]
    assert (made["username"], made["role"]) == ("admin", "admin")


@pytest.mark.slow
@pytest.mark.usefixtures("platform")
def test_projects_and_tasks_are_used_from_a_terminal(admin_caller: Caller) -> None:
    made = aiworker_json("project", "create", "Shop", "--test-command", "true", "--field", "restricted=true")["project"]
    assert (made["name"], made["testCommand"], made["restricted"]) == ("Shop", "true", True)
    assert aiworker("project", "list").split("  ")[:3] == [made["id"], "Shop", "provisioning"]
    assert "testCommand: true" in aiworker("project", "show", made["slug"]).splitlines()

    task = aiworker_json("task", "create", "Shop", "Add a cart", "--priority", "high", "--field", 'labels=["ui"]')[
        "task"
    ]
    assert (task["title"], task["priority"], task["labels"]) == ("Add a cart", "high", ["ui"])
    listed = aiworker("task", "list", "--project", made["slug"], "--state", "backlog")
    assert listed == f"{task['id']}  backlog  high  Add a cart"
    assert " cancelled " in aiworker("task", "cancel", task["id"])
    assert "is cancelled" in aiworker("task", "retry", task["id"], code=1)

    assert " deleting " in aiworker("project", "delete", "Shop", "--yes")
    # The tokens that were made for the commands went with them, and the record has only what was done with them.
    assert list_api_tokens(admin_caller, PageQuery()).total == 0
    assert events("token:changed") == []
    assert [row.actor for row in events("task:created")] == ["ada"]


@pytest.mark.slow
@pytest.mark.usefixtures("platform")
def test_what_waits_for_a_person_is_decided_from_a_terminal() -> None:
    project = a_project()
    set_state(project, ProjectState.ACTIVE)
    good, bad, stuck = ready_task(project), ready_task(project), a_task(project)
    question = a_question(stuck)

    assert " approved " in aiworker("task", "approve", good.id, "--commit", good.head_sha or "a" * 40)
    assert " in_progress " in aiworker("task", "reject", bad.id, "Needs tests")
    assert aiworker("task", "answer", stuck.id, "Use JWT") == f"{question.id}  answered"
    assert "no question of the task is open" in aiworker("task", "answer", stuck.id, "Again", code=1)
    group = aiworker_json("group", "create", "Shop", good.id, "--name", "Sprint 1")["taskGroup"]
    assert group["stagingBranch"] == "release/sprint-1"
    assert "409" in aiworker("group", "create", "Shop", good.id, code=1)
