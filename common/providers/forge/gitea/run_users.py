"""Credentials of runs on Gitea: a temporary user per run, who may write one repository and push, of the protected
branches, only the run's own.

The user's rights limit the credential, not a token's scopes: on servers before 1.26.2 scopes limit nothing, and they
never limit a token to one repository. The user is restricted (sees only what it is given access to), owns nothing, is
locked when the run ends and removed a little later. It authenticates with its password, or with a token if the server
accepts no passwords from programs (`[service] ENABLE_BASIC_AUTHENTICATION`).
"""

from __future__ import annotations

import hashlib
import secrets

from common.errors import ProviderRefused
from common.providers.forge.gitea.client import Client, Json, at
from common.providers.forge.gitea.features import Features
from common.providers.forge.gitea.protection import Protection
from common.providers.forge.gitea.repository_setup import Account, Found
from common.values.repository import Credential

PREFIX = "aiw-run-"
_TOKEN_NAME = "run"  # noqa: S105 (a name, nothing secret)


def username_of(run_id: str) -> str:
    """Return the name of the run's user on the server."""
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
    may_push: bool,
) -> Credential:
    """Create the run's user, if needed, and return its name with a new password or token. may_push: else it reads.

    Raises ProviderRefused: `not_admin` if the platform's token can't create users, `no_login` if the server accepts
    neither a password nor creates a token.
    """
    if not account.is_admin:
        raise ProviderRefused(
            f"the token's user {account.login} is not a site administrator and can't create users for runs; "
            "set GITEA_TOKEN to an administrator's token",
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
        # 422: the user exists already; the call below sets the new password in either case.
        client.call("POST", "/admin/users", body=wanted, accept=(422,))
    _change(client, username, password, is_open=True)
    client.call(
        "PUT", f"{found.path}{at('collaborators', username)}", body={"permission": "write" if may_push else "read"}
    )
    if may_push:
        protection.ensure_rule(branch, pushers=(username,), is_forced=True)
    if not client.get("/user", login=(username, password), accept=(401, 403)).is_there:
        password = _new_token(client, features, account, username)
    return Credential(username, password)


def delete(client: Client, found: Found, protection: Protection, *, run_id: str) -> bool:
    """Lock or remove the run's user and remove it from the protection rules. Returns whether the user is removed.

    The first call locks the user, the next one removes it: the server processes a push asynchronously and looks up its
    user then. If that user is removed, the server drops the push, and the pull request's page is not updated
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
    """Remove the users of all runs of this repository."""
    users = [user["login"] for user in client.pages(f"{found.path}/collaborators")]
    for username in users:
        if username.startswith(PREFIX):
            _remove(client, found, username)


def delete_user(client: Client, *, run_id: str) -> None:
    """Remove the run's user; for a repository that is removed already. Safe to repeat."""
    _remove_user(client, username_of(run_id))


def _remove(client: Client, found: Found, username: str) -> None:
    # The user first: `delete_all` finds users by their being collaborators, so a repeated call must still find it.
    _remove_user(client, username)
    client.call("DELETE", f"{found.path}{at('collaborators', username)}", accept=(404, 422))


def _remove_user(client: Client, username: str) -> None:
    if _account(client, username) is None:
        return
    gone = client.call("DELETE", at("admin", "users", username), accept=(404, 422))
    if gone.status == 422:
        # The server refuses to remove a user who still owns something: then the user stays, locked.
        _lock(client, username)


def _lock(client: Client, username: str) -> None:
    _change(client, username, _new_password(), is_open=False)


def _new_password() -> str:
    return f"{secrets.token_urlsafe(32)}-aA1"


def _new_token(client: Client, features: Features, account: Account, username: str) -> str:
    # The API creates tokens only with Basic authentication; it accepts the platform's token as the password.
    tokens, platform = at("users", username, "tokens"), (account.login, client.token)
    # A token from a call whose answer was lost can't be read again, so it is replaced.
    client.call("DELETE", f"{tokens}/{_TOKEN_NAME}", login=platform, accept=(401, 403, 404))
    wanted: dict[str, object] = {"name": _TOKEN_NAME}
    if features.run_scopes:
        wanted["scopes"] = list(features.run_scopes)
    made = client.call("POST", tokens, body=wanted, login=platform, accept=(401, 403, 404))
    if not made.is_there:
        raise ProviderRefused(
            f"the server accepts no password of the user {username} and lets {account.login} create no token for it; "
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
