"""Check whether AiWorker can use a Gitea or Forgejo server with the configured token.

Nothing is changed on the server. To learn which scopes a token has, the checks try to change objects that can't exist:
a server reports a missing scope before it looks for the object. API requests end after TIMEOUT_SECONDS, and the first
one without an answer ends the examination. git commands have their usual time limits (mirror.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from common.errors import AccessDenied, ProviderRefused, ProviderUnavailable
from common.network.addresses import addresses_of, is_own_address
from common.providers.forge.gitea.client import Client, at
from common.providers.forge.gitea.features import OLDEST, Features, parse_version, read_features, read_version
from common.providers.forge.gitea.mirror import Mirror
from common.providers.forge.gitea.repository_setup import MOVED
from common.settings import ForgeSettings
from common.values.finding import Finding
from common.values.names import OWNER_PATTERN

PART = "forge"
TIMEOUT_SECONDS = (2.0, 5.0)
"""To connect, and between two chunks of a response."""
LARGEST_DIFFERENCE_SECONDS = 60.0
NOBODY = "aiworker--doctor"
"""A name that no user, organisation or repository can have: Gitea and Forgejo refuse two dashes in a row."""

_SCOPE_LACKS = re.compile(r"required scope\(s\)\D*?\[([^\]]*)\]")
_TRIES: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("PATCH", at("admin", "users", NOBODY), {"source_id": 0, "login_name": NOBODY}),
    ("PATCH", at("orgs", NOBODY), {}),
    ("PATCH", at("repos", NOBODY, NOBODY), {}),
    ("POST", at("repos", NOBODY, NOBODY, "issues", 1, "comments"), {"body": "-"}),
)
_WITHOUT_WEBHOOKS = "without webhooks, AiWorker notices changes by polling, up to half a minute later"


def examine_gitea(
    chosen: ForgeSettings, *, timeout_seconds: tuple[float, float] = TIMEOUT_SECONDS
) -> Iterator[Finding]:
    """Yield one finding per check, with AIWORKER_FORGE=gitea. Provider errors become findings."""
    assert chosen.gitea_url is not None
    assert chosen.gitea_token is not None
    client = Client(chosen.gitea_url, chosen.gitea_token, timeout=timeout_seconds)
    try:
        yield from _findings(client, chosen)
    except AccessDenied as error:
        yield Finding("fail", PART, str(error))
    except ProviderUnavailable as error:
        yield Finding("fail", PART, f"{error}; check GITEA_URL={chosen.gitea_url}")
    except ProviderRefused as error:
        yield Finding("fail", PART, error.message)
    finally:
        client.close()


def _findings(client: Client, chosen: ForgeSettings) -> Iterator[Finding]:
    name = read_version(client)
    version = parse_version(name)
    if version is None or version < OLDEST:
        yield Finding("fail", PART, f"Gitea {name} is too old; update the server to 1.15 or newer")
        return
    features = read_features(client, name)
    yield Finding("ok", PART, f"{features.product} {name} answers at {client.url}")
    yield from _limits(features)
    yield _clock(client)
    yield from _account(client, chosen.owner)
    yield examine_webhook(chosen.webhook_url, gitea_url=client.url)


def _limits(features: Features) -> Iterator[Finding]:
    if features.warning is not None:
        yield Finding("warn", PART, features.warning)
    if not features.is_described:
        says = "the server does not show its description (swagger.v1.json): features are taken from its version"
        yield Finding("ok", PART, says)
    if not features.has_patterns:
        says = "before 1.19 a branch is protected only once it exists; update the server"
        yield Finding("warn", PART, says)
    if not features.has_manual_merge:
        says = "pull requests can't be marked as merged on this server and are closed instead; update the server"
        yield Finding("warn", PART, says)


def _clock(client: Client) -> Finding:
    date = client.get("/version").date
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return Finding("warn", PART, "the server sends no Date header; check that its clock is right")
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    seconds = (theirs - datetime.now(UTC)).total_seconds()
    if abs(seconds) > LARGEST_DIFFERENCE_SECONDS:
        relation = "ahead of" if seconds > 0 else "behind"
        says = f"the server's clock is {abs(seconds):.0f} s {relation} this machine's; set both by NTP"
        return Finding("warn", PART, says)
    return Finding("ok", PART, "its clock agrees with this machine's")


def _account(client: Client, owner: str) -> Iterator[Finding]:
    try:
        user = client.get("/user").body
    except ProviderRefused as error:
        lacking = _lacking(error)
        yield _of_scopes(lacking) if lacking else Finding("fail", PART, error.message)
        return
    login = str(user["login"])
    if user.get("is_admin"):
        yield Finding("ok", PART, f"the token is {login}'s, a site administrator")
    else:
        says = f"the token's user {login} is not a site administrator and can't create users for runs; make it one"
        yield Finding("fail", PART, f"{says}, or set GITEA_TOKEN to an administrator's token")
    lacking = [scope for try_ in _TRIES for scope in _try(client, *try_)]
    yield _of_scopes(lacking) if lacking else Finding("ok", PART, "the token has all scopes that are needed")
    yield _git(client, login)
    yield _owner(client, owner, login)


def _git(client: Client, login: str) -> Finding:
    """Check git over HTTP: the expected answer is that the repository does not exist."""
    address = f"{client.url}/{NOBODY}/{NOBODY}.git"
    try:
        Mirror(Path(os.devnull), address, username=login, token=client.token, name=NOBODY).has_branches()
    except ProviderRefused as error:
        if error.code != "no_repository":
            says = "the server refuses git over HTTP with the token; set [repository] DISABLE_HTTP_GIT = false there"
            return Finding("fail", PART, says)
    except ProviderUnavailable as error:
        return Finding("fail", PART, f"git over HTTP does not work: {error}")
    return Finding("ok", PART, "git is served over HTTP")


def _try(client: Client, method: str, path: str, body: dict[str, object]) -> list[str]:
    """Return the scopes that the token lacks for this call; empty for any other answer, such as 404."""
    try:
        client.call(method, path, body=body)
    except ProviderRefused as error:
        return _lacking(error)
    return []


def _lacking(error: ProviderRefused) -> list[str]:
    found = _SCOPE_LACKS.search(error.message)
    return [scope.strip() for scope in found[1].split(",")] if found else []


def _of_scopes(lacking: list[str]) -> Finding:
    named = ", ".join(dict.fromkeys(lacking))
    return Finding("fail", PART, f"the token lacks the scopes {named}; set GITEA_TOKEN to one that has all scopes")


def _owner(client: Client, owner: str, login: str) -> Finding:
    other = "set AIWORKER_FORGE_OWNER to another"
    if not OWNER_PATTERN.fullmatch(owner):
        return Finding("fail", PART, f"AIWORKER_FORGE_OWNER={owner} is not a name of small letters and digits; {other}")
    if owner == login.lower():
        return Finding("ok", PART, f"repositories belong to the user {login}")
    try:
        found = client.get(at("orgs", owner), accept=(404, *MOVED))
        if found.is_there:
            return Finding("ok", PART, f"the organisation {owner} exists")
        if found.status in MOVED:
            return Finding("fail", PART, f"the organisation {owner} was renamed: rename it back, or {other}")
        if client.get(at("users", owner), accept=(404,)).is_there:
            return Finding("fail", PART, f"{owner} is a user's name, so no organisation can have it; {other}")
    except ProviderRefused as error:
        return Finding("fail", PART, f"the organisation {owner} can't be read: {error.message}")
    return Finding("ok", PART, f"the organisation {owner} does not exist yet; the first project creates it")


def examine_webhook(url: str, *, gitea_url: str) -> Finding:
    """Check whether Gitea can call the webhook address url, judged by host names only."""
    host, theirs = urlsplit(url).hostname or "", urlsplit(gitea_url).hostname or ""
    if is_own_address(host) and not is_own_address(theirs):
        says = f"on Gitea's machine, {url} is that machine itself; set AIWORKER_WEBHOOK_URL to AiWorker's address"
        return Finding("warn", PART, f"{says}; {_WITHOUT_WEBHOOKS}")
    if any(not address.is_global for address in addresses_of(host)):
        says = f"Gitea calls the private address {url} only if ALLOWED_HOST_LIST ([webhook], [security]) names {host}"
        return Finding("warn", PART, f"{says}; {_WITHOUT_WEBHOOKS}")
    return Finding("ok", PART, f"Gitea sends webhooks to {url}")
