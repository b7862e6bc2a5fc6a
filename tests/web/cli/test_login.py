"""Logging in from a terminal: whose token is kept where, which one a command uses, and what logging out ends."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest
from flask import Flask

from common.models import User
from common.services.people.tokens import list_api_tokens
from common.services.requests.paging import PageQuery
from tests import builders
from tests.web.cli.test_main import aiworker, aiworker_json


def log_in(monkeypatch: pytest.MonkeyPatch, *words: str, said: str = builders.PASSWORD, code: int = 0) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{said}\n"))
    return aiworker("login", *words, code=code)


def names_of_tokens(user: User) -> list[str]:
    return [token.name for token in list_api_tokens(builders.caller_of(user), PageQuery()).items]


def test_a_login_is_kept_for_its_user_alone_until_it_is_ended(
    address: str, ada: User, config_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is the password right?" in log_in(
        monkeypatch, address, "--user", "ada", "--password-stdin", said="no", code=1
    )
    assert not config_folder.exists()

    assert f"Logged in to {address} as ada" in log_in(monkeypatch, address, "--user", "ada", "--password-stdin")
    (kept,) = config_folder.rglob("*.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert builders.PASSWORD not in kept.read_text()

    assert aiworker("whoami") == f"ada (admin) at {address}, with the login {address.removeprefix('http://')}"
    assert aiworker("task", "list") == ""

    # A second login to the same address replaces the first one's token.
    log_in(monkeypatch, address, "--user", "ada", "--password-stdin", "--name", "work")
    assert len(names_of_tokens(ada)) == 1
    assert [one["name"] for one in aiworker_json("use")["instances"]] == ["work"]

    aiworker("logout")
    assert names_of_tokens(ada) == []
    assert aiworker_json("use") == {"instances": []}
    assert "you are not logged in; log in with: aiworker login URL" in aiworker("logout", code=1)


def test_one_of_several_instances_is_used_by_its_name(
    plain_app: Flask, address: str, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = builders.a_token(ada)
    elsewhere = "http://127.0.0.1:9"
    aiworker("--token", token, "login", address, "--name", "work")
    log_in(monkeypatch, address.replace("127.0.0.1", "localhost"), "--name", "home", "--token-stdin", said=token)
    assert "home is the name of" in aiworker("--token", token, "login", address, "--name", "home", code=1)

    assert aiworker_json("whoami")["tokenFrom"] == "the login home"
    assert aiworker_json("--url", "work", "whoami")["url"] == address
    aiworker("use", "work")
    assert aiworker_json("whoami")["url"] == address
    assert "choose one of: work, home" in aiworker("use", "nowhere", code=1)

    # The environment wins, and a token that was given by itself goes to this machine's platform only.
    assert elsewhere in aiworker("whoami", code=1, AIWORKER_URL=elsewhere, AIWORKER_TOKEN=token)
    assert elsewhere in aiworker("whoami", code=1, AIWORKER_TOKEN=token, AIWORKER_INTERNAL_URL=elsewhere)

    # The token was the user's own: it is forgotten, not revoked.
    aiworker("logout", "--all")
    assert builders.client_with(plain_app, token).get("/api/auth/me").status_code == 200


def test_a_file_that_others_can_read_or_that_is_damaged_is_not_used(config_folder: Path) -> None:
    kept = config_folder / "aiworker" / "instances.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    kept.chmod(0o644)
    assert f"chmod 600 {kept}" in aiworker("use", code=1)
    kept.chmod(0o600)
    assert "is damaged" in aiworker("use", code=1)


def test_a_token_that_was_revoked_says_to_log_in_again(
    plain_app: Flask, address: str, ada: User, config_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(monkeypatch, address, "--user", "ada", "--password-stdin")
    (kept,) = config_folder.rglob("*.json")
    (one,) = json.loads(kept.read_text())["instances"].values()
    client = builders.client_with(plain_app, one["token"])
    assert client.delete(f"/api/tokens/{one['token_id']}").status_code == 204

    assert f"log in again: aiworker login {address}" in aiworker("task", "list", code=1)
    aiworker("logout")


@pytest.mark.parametrize("wrong", ["ftp://x", "http://[::1", "http://a..b", "http://a b"])
@pytest.mark.usefixtures("address")
def test_a_wrong_address_is_put_right_where_it_was_given(wrong: str) -> None:
    said = f"aiworker: {wrong} is not an http or https address; "
    for words in (("--url", wrong, "task", "list"), ("login", wrong), ("--url", wrong, "login")):
        assert aiworker(*words, code=1) == f"{said}give one such as https://aiworker.example.org"
    for words in (("task", "list"), ("login",)):
        assert aiworker(*words, code=1, AIWORKER_URL=wrong) == f"{said}check AIWORKER_URL"
