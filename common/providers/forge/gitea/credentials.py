"""A credential for one run: a throw-away user of the server, who may write one repository and, of the branches under
a rule, pushes the run's own only.

What bounds it is the user's rights, never a token's scopes: those bound nothing on servers before 1.26.2, and never one
repository. The user is restricted (sees nothing it was not given), owns nothing, is locked when the run ends, and
removed a little later. It says its password, or, where programs may not (`[service] ENABLE_BASIC_AUTHENTICATION`), a
token that is made for it.
"""

from __future__ import annotations

import hashlib
import secrets

from common.errors import ProviderRefused
from common.providers.forge.gitea.client import Client, Json, at
from common.providers.forge.gitea.features import Features
from common.providers.forge.gitea.protection import Protection
from common.providers.forge.gitea.repositories import Account, Found
from common.values.repository import Credential

PREFIX = "aiw-run-"
_TOKEN_NAME = "run"  # noqa: S105 (a name, nothing secret)


def username_of(run_id: str) -> str:
    """The user's name on the server, computed."""
    return PREFIX + hashlib.sha256(run_id.encode()).hexdigest()[:24]


def ensure(
    client: Client,
    found: Found,
    protection: Protection,
    features: Features,
    account: Account,
    *,
    branch: str,
    run_id: str,
) -> Credential:
    """A user of this run's own with a new password or token.

    ProviderRefused (`not_admin`) where the token can't make users, (`no_login`) where it can't make them known.
    """
    if not account.is_admin:
        raise ProviderRefused(
            f"the token's user {account.login} is no site administrator, so no user for a run can be made; "
            "set GITEA_TOKEN to an administrator's",
            code="not_admin",
        )
    username, password = username_of(run_id), _new_password()
    made = _account(client, username)
    if made is None:
        wanted = {
            "username": username,
            "email": f"{username}@aiworker.invalid",
            "full_name": f"AiWorker run {run_id}"[:100],
            "password": password,
            "must_change_password": False,
            "send_notify": False,
        }
        # 422: it is there by now; the call below gives it the new password either way.
        client.call("POST", "/admin/users", body=wanted, accept=(422,))
    _change(client, username, password, is_open=True)
    client.call("PUT", f"{found.path}{at('collaborators', username)}", body={"permission": "write"})
    protection.ensure_rule(branch, pushers=(username,), is_forced=True)
    if not client.get("/user", login=(username, password), accept=(401, 403)).is_there:
        password = _new_token(client, features, account, username)
    return Credential(username, password)


def delete(client: Client, found: Found, protection: Protection, *, run_id: str) -> bool:
    """Nobody can be the run's user any more, and no rule names it. Returns whether the user is gone, too.

    The first call locks it, the next one removes it: the server takes note of a push some time after it and looks up
    who it was by. If that user is gone by then it drops the push, and the pull request's page stays as it was
    (services/repository/push.go: `pushUpdate failed: user does not exist`; seen on a busy 1.15).
    """
    username = username_of(run_id)
    protection.remove_pusher(username)
    account = _account(client, username)
    if account is not None and account.get("prohibit_login") is False:
        _lock(client, username)
        return False
    _remove(client, found, username)
    return True


def delete_all(client: Client, found: Found) -> None:
    """No run's user can use the repository any more."""
    users = [user["login"] for user in client.pages(f"{found.path}/collaborators")]
    for username in users:
        if username.startswith(PREFIX):
            _remove(client, found, username)


def delete_user(client: Client, *, run_id: str) -> None:
    """The run's user is gone, where its repository is already. Safe to repeat."""
    _remove_user(client, username_of(run_id))


def _remove(client: Client, found: Found, username: str) -> None:
    # The user first: who is no collaborator any more, `delete_all` would not find again.
    _remove_user(client, username)
    client.call("DELETE", f"{found.path}{at('collaborators', username)}", accept=(404, 422))


def _remove_user(client: Client, username: str) -> None:
    if _account(client, username) is None:
        return
    gone = client.call("DELETE", at("admin", "users", username), accept=(404, 422))
    if gone.status == 422:
        # The server keeps who still owns something: then the user stays, and nobody can be it.
        _lock(client, username)


def _lock(client: Client, username: str) -> None:
    _change(client, username, _new_password(), is_open=False)


def _new_password() -> str:
    return f"{secrets.token_urlsafe(32)}-aA1"


def _new_token(client: Client, features: Features, account: Account, username: str) -> str:
    # Only who says a name makes tokens; the platform's own token is taken as its password.
    tokens, platform = at("users", username, "tokens"), (account.login, client.token)
    # One that was made by a call whose answer was lost can't be read any more.
    client.call("DELETE", f"{tokens}/{_TOKEN_NAME}", login=platform, accept=(401, 403, 404))
    wanted: dict[str, object] = {"name": _TOKEN_NAME}
    if features.run_scopes:
        wanted["scopes"] = list(features.run_scopes)
    made = client.call("POST", tokens, body=wanted, login=platform, accept=(401, 403, 404))
    if not made.is_there:
        raise ProviderRefused(
            f"the server takes no password of the user {username} and lets {account.login} make it no token; "
            "set [service] ENABLE_BASIC_AUTHENTICATION = true there",
            code="no_login",
        )
    return str(made.body["sha1"])


def _account(client: Client, username: str) -> Json | None:
    answer = client.get(at("users", username), accept=(404,))
    return answer.body if answer.is_there else None


def _change(client: Client, username: str, password: str, *, is_open: bool) -> None:
    wanted = {
        "source_id": 0,
        "login_name": username,
        "password": password,
        "must_change_password": False,
        "active": True,
        "prohibit_login": not is_open,
        "restricted": True,
        "max_repo_creation": 0,
        "allow_create_organization": False,
        "visibility": "private",
    }
    client.call("PATCH", at("admin", "users", username), body=wanted)
