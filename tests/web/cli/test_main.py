"""The command line as a person types it: its whole program against a real server."""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from common.models.account import ApiToken
from common.models.task import Task
from common.services.access import Caller
from common.services.paging import MOST, PageQuery
from common.services.people import accounts, tokens
from common.services.people.tokens import list_api_tokens
from common.services.tasks import lifecycle
from common.settings import settings
from common.states import ProjectState, Role, TaskState
from common.transaction import Transaction, transactional
from common.values.parking import Parked
from tests import builders
from tests.deploy.patient_doctor import wait_longer
from tests.patience import PATIENCE_SECONDS
from tests.web.made import a_project, a_question, a_task, ready_task, set_state
from tests.web.world import events, forget_providers, put, served
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


@pytest.mark.slow
def test_what_happens_is_shown_a_line_each(platform: str) -> None:
    a_project("Blog")
    project = a_project()
    with ThreadPoolExecutor(1) as pool:
        # Whether or not it has subscribed yet: what happens goes on happening until a line was shown.
        shown = pool.submit(aiworker, "watch", "--project", "Shop", "--count", "1")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not shown.done() and time.monotonic() < deadline:
            a_task(project, "Add a cart")
            wait([shown], timeout=0.2)
    assert "task:created" in shown.result()
    assert 'title="Add a cart"' in shown.result()
    assert f"projectId={project.id}" in shown.result()


@pytest.mark.slow
def test_a_parked_task_says_until_when_and_goes_on_when_it_is_told_to(platform: str) -> None:
    project = a_project()
    task = a_task(project)
    _park(task.id, datetime.now(UTC) + timedelta(days=2))
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(aiworker, "watch", "--project", "Shop", "--count", "1")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not watching.done() and time.monotonic() < deadline:
            _park(task.id, datetime.now(UTC) + timedelta(days=2))
            wait([watching], timeout=0.2)

    until = r"parked until \d{4}-\d\d-\d\d \d\d:\d\d: The provider is busy"
    assert re.search(rf"task:updated .*{until}$", watching.result())
    assert re.search(rf"in_progress  medium  Implement login  {until}$", aiworker("task", "list"))
    assert re.search(rf"^parked: {until}$", aiworker("task", "show", task.id), re.MULTILINE)
    assert aiworker("task", "resume", task.id).endswith("in_progress  medium  Implement login")
    assert "only a parked task can be resumed" in aiworker("task", "resume", task.id, code=1)


@transactional
def _park(tx: Transaction, task_id: str, until: datetime) -> None:
    task = tx.lock(Task, task_id)
    task.state_ = str(TaskState.IN_PROGRESS)
    lifecycle.park(tx, task, Parked.LIMIT, "The provider is busy", until=until)


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


def test_a_new_password_of_a_deactivated_user_says_that_the_user_stays_so(plain_app: Flask) -> None:
    aiworker("user", "add", "ada", "--role", "admin", "--password", builders.PASSWORD)
    made = aiworker_json("user", "add", "vic", "--role", "member", "--password", builders.PASSWORD)["user"]
    accounts.update_user(made["id"], is_active=False, by=Caller("", "operator", Role.ADMIN))

    assert aiworker("user", "password", "vic", "--password", "yet another password") == (
        "vic has a new password and is logged out everywhere. "
        "The user stays deactivated: an administrator can activate it again on the page, under Users."
    )


def test_tokens_are_those_of_the_first_administrator_unless_said_otherwise(plain_app: Flask) -> None:
    builders.a_user("vic", Role.VIEWER)
    builders.a_user("ada", Role.ADMIN)
    builders.a_user("eve", Role.ADMIN)

    client = builders.client_with(plain_app, aiworker("token", "create", "ci"))

    assert client.get("/api/auth/me").json["user"]["username"] == "ada"


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


def test_a_user_or_token_that_is_not_there_or_can_have_no_such_name_is_one_line(plain_app: Flask) -> None:
    builders.a_user("ada", Role.ADMIN)
    half = "caf\udce9"

    assert aiworker("user", "password", "zoe", "--password", "yet another password", code=1) == (
        "aiworker: there is no user zoe"
    )
    assert aiworker("token", "revoke", "none", code=1) == "aiworker: there is no token none"
    for words in (("token", "revoke", half), ("user", "password", half, "--password", "yet another password")):
        assert "is not UTF-8" in aiworker(*words, code=2, lines=4)
    assert "is not UTF-8" in aiworker("user", "password", "ada", "--password", f"{half} and more", code=2, lines=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO(f"{half} and more\n"))
        assert aiworker("user", "password", "ada", code=1) == "aiworker: the password is not UTF-8"
    for name in (half, "", "x" * 101):
        assert "Usage: " in aiworker("token", "create", name, code=2, lines=4)
    assert aiworker_json("token", "list")["tokens"] == []


def test_a_token_is_revoked_by_the_digits_that_a_list_shows(plain_app: Flask) -> None:
    ada = builders.a_user("ada", Role.ADMIN)
    first, second = (aiworker_json("token", "create", name)["token"]["id"] for name in ("ci", "phone"))

    assert aiworker_json("token", "revoke", first[-8:].upper()) == {"token": {"id": first}}
    twin = builders.a_token(ada)
    twin_id = next(one["id"] for one in aiworker_json("token", "list")["tokens"] if one["id"] != second)
    put(ApiToken, twin_id, id=f"{second[:24]}0000{second[-8:]}")
    said = aiworker("token", "revoke", second[-8:], code=1)
    assert f"{second[-8:]} is ambiguous, say more of its digits: " in said
    assert f"0000{second[-8:]}" in said
    assert aiworker("token", "revoke", second[-12:]) == f"Token {second} is revoked."
    assert builders.client_with(plain_app, twin).get("/api/auth/me").status_code == 200


def test_a_token_lasts_366_days_at_most(plain_app: Flask) -> None:
    builders.a_user("ada", Role.ADMIN)

    aiworker("token", "create", "ci", "--days", "366")
    for wrong in ("366.1", "0"):
        assert "0<x<=366" in aiworker("token", "create", "ci", "--days", wrong, code=2, lines=4)


@pytest.mark.slow
def test_all_tokens_are_listed(plain_app: Flask) -> None:
    ada = builders.a_user("ada", Role.ADMIN)
    for _number in range(MOST + 1):
        builders.a_token(ada)

    assert len({one["id"] for one in aiworker_json("token", "list")["tokens"]}) == MOST + 1


def test_a_missing_platform_or_right_is_one_line_with_a_remedy(plain_app: Flask, tmp_path: Path) -> None:
    builders.a_user("ada", Role.ADMIN)
    away = {"AIWORKER_URL": "http://127.0.0.1:9", "AIWORKER_TOKEN": "aiw_x"}
    assert "aiworker up" in aiworker("task", "list", code=1, **away)
    for token in ("aiw_\u00e9", "aiw_\u65e5", "aiw_\udcff", "aiw_x y"):
        said = aiworker("task", "list", code=1, **away | {"AIWORKER_TOKEN": token})
        assert said == "aiworker: AIWORKER_TOKEN is no token: it has spaces or other characters than ASCII"
    assert "AIWORKER_DATABASE_URL" in aiworker("db", "status", code=1, AIWORKER_DATABASE_URL="oracle://x")
    nowhere = {"AIWORKER_DATA_DIR": str(tmp_path / "no"), "AIWORKER_DATABASE_URL": ""}
    assert "AIWORKER_TOKEN" in aiworker("task", "list", code=1, **nowhere)
    assert "No such command" in aiworker("explode", code=2)


@pytest.mark.slow
def test_a_refusal_says_what_was_wrong(platform: str) -> None:
    refused = aiworker("project", "create", "Shop", "--field", "replicas=0", code=1)
    assert "400 replicas: Must be from 1 to 100" in refused
    for value in ("NaN", "[Infinity]", "1e999", "[" * 5_000, "1" * 5_000):
        assert "400 replicas: " in aiworker("project", "create", "Shop", "--field", f"replicas={value}", code=1)
    assert "check --token" in aiworker("--token", "aiw_wrong\n", "task", "list", code=1)
    assert "there is no project Shop" in aiworker("task", "create", "Shop", "x", code=1)


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


def test_the_doctor_names_what_is_missing(plain_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_longer(monkeypatch.setattr)

    def found(code: int, **environ: str) -> dict[str, tuple[str, str]]:
        findings = aiworker("--json", "doctor", code=code, **environ)
        # The first of each part: whether it is there at all.
        return {one["part"]: (one["status"], one["says"]) for one in reversed(json.loads(findings)["findings"])}

    fresh = found(0, AIWORKER_DATA_DIR=str(tmp_path / "fresh"), AIWORKER_DATABASE_URL="")
    assert (fresh["data"][0], fresh["database"][0]) == ("warn", "warn")
    (tmp_path / "data").mkdir(exist_ok=True)
    well = found(0, AIWORKER_INTERNAL_URL="http://127.0.0.1:9")
    assert {part for part, (status, _says) in well.items() if status == "ok"} >= {
        "python", "programs", "data", "settings", "database", "redis", "forge"
    }  # fmt: skip
    assert well["web"][0] == "warn"
    assert "aiworker up" in well["web"][1]
    ill = found(1, AIWORKER_REDIS_URL="redis://127.0.0.1:9", AIWORKER_DATABASE_URL=f"sqlite:///{tmp_path / 'none.db'}")
    assert ill["redis"] == ("fail", "does not answer (ConnectionError); check AIWORKER_REDIS_URL")
    assert ill["database"][0] == "fail"
    assert "aiworker db upgrade" in ill["database"][1]
    assert found(1, AIWORKER_FORGE="none")["settings"][0] == "fail"
    bound = found(1, AIWORKER_INTERNAL_URL="http://127.0.0.1:9", AIWORKER_RUNTIME_BIND="192.0.2.1")["runtime"]
    assert (bound[0], bound[1].partition(" ")[0]) == ("fail", "AIWORKER_RUNTIME_BIND=192.0.2.1")
    # A wrong setting of `aiworker up` alone fails too.
    assert found(1, AIWORKER_INTERNAL_URL="http://127.0.0.1:9", AIWORKER_AGENTS="x")["settings"][0] == "ok"


@pytest.mark.parametrize("number", ["abc", "0", "1.5"])
def test_a_number_of_web_processes_that_is_none_stops_the_start_by_name(number: str, tmp_path: Path) -> None:
    said = aiworker("up", "--agents", "0", code=1, AIWORKER_DATA_DIR=str(tmp_path), WEB_CONCURRENCY=number)

    assert said == f"aiworker: WEB_CONCURRENCY={number} is not a whole number from 1 to 1000; correct or unset it"
    assert list(tmp_path.glob("*.db")) == []
