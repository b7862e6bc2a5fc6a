"""The double's API: what Gitea does with each call, as its sources have it, and as far as AiWorker uses it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.doubles.gitea.model import Model, Repo, User

_Answer = tuple[int, Any]
_ROUTES: list[tuple[str, re.Pattern[str], Callable[..., _Answer]]] = []
_REPO = "/repos/{owner}/{name}"
_PAGE = 50


@dataclass(frozen=True)
class Call:
    model: Model
    user: User
    body: dict[str, Any]
    query: dict[str, str]
    version: tuple[int, int, int]
    is_basic: bool = False
    """Whether the caller named itself as a browser does, by a name and a password or token."""

    def page(self, found: list[Any]) -> list[Any]:
        number, size = int(self.query.get("page", 1)), min(int(self.query.get("limit", 30)), _PAGE)
        return found[(number - 1) * size : number * size]


def route(method: str, path: str) -> Callable[[Callable[..., _Answer]], Callable[..., _Answer]]:
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

    def note(act: Callable[..., _Answer]) -> Callable[..., _Answer]:
        _ROUTES.append((method, pattern, act))
        return act

    return note


def answer(call: Call, method: str, path: str, unquote: Callable[[str], str]) -> _Answer:
    """path: after `/api/v1`, still escaped, so that an escaped slash does not part it."""
    for verb, pattern, act in _ROUTES:
        found = pattern.fullmatch(path) if verb == method else None
        if found is None:
            continue
        named = {key: unquote(value) for key, value in found.groupdict().items()}
        if "/admin/" in path and not call.user.is_admin:
            return 403, {"message": "user should be the site admin"}
        if "owner" in named:
            place = named.pop("owner"), named.pop("name")
            repo = call.model.repos.get(place)
            if "/".join(place) in call.model.moved and repo is None:
                return 307, None
            if repo is None or not call.model.may(call.user, repo, "read" if method == "GET" else "write"):
                return _absent()
            return act(call, repo, **named)
        return act(call, **named)
    return _absent()


def _absent() -> _Answer:
    return 404, {"message": "The target couldn't be found."}


def now(model: Model) -> str:
    """A time that no two things share."""
    return (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(model.numbers))).isoformat()


# Accounts


@route("GET", "/user")
def read_self(call: Call) -> _Answer:
    return 200, call.user.json()


@route("GET", "/users/{login}")
def read_user(call: Call, login: str) -> _Answer:
    user = call.model.users.get(login)
    return (200, user.json()) if user else _absent()


@route("POST", "/admin/users")
def create_user(call: Call) -> _Answer:
    if call.body["username"] in call.model.users:
        return 422, {"message": f"user already exists [name: {call.body['username']}]"}
    body = call.body
    user = call.model.add_user(
        body["username"], body["password"], email=body["email"], full_name=body.get("full_name", "")
    )
    return 201, user.json()


@route("PATCH", "/admin/users/{login}")
def change_user(call: Call, login: str) -> _Answer:
    user = call.model.users.get(login)
    if user is None:
        return _absent()
    user.password = call.body.get("password", user.password)
    user.fields.update(call.body)
    return 200, user.json()


@route("DELETE", "/admin/users/{login}")
def delete_user(call: Call, login: str) -> _Answer:
    if call.model.users.pop(login, None) is None:
        return _absent()
    for repo in call.model.repos.values():
        repo.collaborators.pop(login, None)
    return 204, None


@route("POST", "/users/{login}/tokens")
def create_token(call: Call, login: str) -> _Answer:
    user = call.model.users.get(login)
    if not call.is_basic:
        return 401, {"message": "auth required"}
    if user is None or not (call.user.is_admin or call.user is user):
        return _absent()
    # Until 1.19 there were none; in 1.19 they had other names, and none meant all.
    known = r"all|(read|write):\w+" if call.version >= (1, 20, 0) else r"all|repo"
    scopes = call.body.get("scopes", [])
    if (call.version >= (1, 20, 0) and not scopes) or not all(re.fullmatch(known, scope) for scope in scopes):
        return 400, {"message": "access token must have a scope"}
    name = call.body["name"]
    if name in user.tokens:
        return 400, {"message": "access token name has been used already"}
    secret = user.tokens[name] = secrets.token_hex(20)
    return 201, {"id": next(call.model.numbers), "name": name, "sha1": secret, "token_last_eight": secret[-8:]}


@route("DELETE", "/users/{login}/tokens/{name}")
def delete_token(call: Call, login: str, name: str) -> _Answer:
    user = call.model.users.get(login)
    if not call.is_basic:
        return 401, {"message": "auth required"}
    if not call.user.is_admin and call.user is not user:
        return _absent()
    return (204, None) if user is not None and user.tokens.pop(name, None) else _absent()


@route("GET", "/orgs/{org}")
def read_organisation(call: Call, org: str) -> _Answer:
    if org in call.model.moved:
        return 301, None
    return (200, {"username": org}) if org in call.model.organisations else _absent()


@route("POST", "/orgs")
def create_organisation(call: Call) -> _Answer:
    name = call.body["username"]
    if name in call.model.organisations or name in call.model.users:
        return 422, {"message": "user already exists"}
    call.model.organisations.add(name)
    return 201, {"username": name}


@route("PATCH", "/orgs/{org}")
def change_organisation(call: Call, org: str) -> _Answer:
    return (200, {"username": org}) if org in call.model.organisations else _absent()


@route("DELETE", "/orgs/{org}")
def delete_organisation(call: Call, org: str) -> _Answer:
    if org not in call.model.organisations:
        return _absent()
    if any(owner == org for owner, _name in call.model.repos):
        return 500, {"message": "user still has ownership of repositories"}
    call.model.organisations.remove(org)
    return 204, None


@route("GET", "/admin/users")
def list_users(call: Call) -> _Answer:
    return 200, call.page([user.json() for user in call.model.users.values()])


# Repositories


@route("GET", "/orgs/{org}/repos")
def list_of_organisation(call: Call, org: str) -> _Answer:
    if org not in call.model.organisations:
        return _absent()
    return 200, call.page([repo.json() for (owner, _name), repo in call.model.repos.items() if owner == org])


@route("POST", "/orgs/{org}/repos")
def create_in_organisation(call: Call, org: str) -> _Answer:
    return _create(call, org) if org in call.model.organisations else _absent()


@route("POST", "/user/repos")
def create_own(call: Call) -> _Answer:
    return _create(call, call.user.login)


def _create(call: Call, owner: str) -> _Answer:
    body = call.body
    if (owner, body["name"]) in call.model.repos:
        return 409, {"message": "The repository with the same name already exists."}
    fields = {
        "description": body.get("description", ""), "default_branch": body.get("default_branch", "master"),
        "private": body.get("private", False), "allow_merge_commits": True,
    }  # fmt: skip
    return 201, call.model.add_repo(owner, body["name"], fields).json()


@route("GET", "/repos/search")
def search_repos(call: Call) -> _Answer:
    wanted = call.query.get("q", "").lower()
    found = [repo for repo in call.model.repos.values() if call.model.may(call.user, repo, "read")]
    named = [repo.json() for repo in found if wanted in repo.name.lower()]
    return 200, {"ok": True, "data": call.page(named[::-1])}


@route("GET", _REPO)
def read_repo(call: Call, repo: Repo) -> _Answer:
    return 200, repo.json()


@route("PATCH", _REPO)
def change_repo(call: Call, repo: Repo) -> _Answer:
    body = dict(call.body)
    branch = body.pop("default_branch", None)
    if branch and (not repo.refs() or f"refs/heads/{branch}" in repo.refs()):
        repo.fields["default_branch"] = branch
    # Gitea keeps how pull requests may be merged with the unit, and says nothing of it in the answer.
    repo.fields["description"] = body.get("description", repo.fields["description"])
    repo.allows_manual_merge = body.get("allow_manual_merge", repo.allows_manual_merge)
    return 200, repo.json()


@route("DELETE", _REPO)
def delete_repo(call: Call, repo: Repo) -> _Answer:
    del call.model.repos[repo.owner, repo.name]
    return 204, None


@route("GET", f"{_REPO}/collaborators")
def list_collaborators(call: Call, repo: Repo) -> _Answer:
    return 200, call.page([call.model.users[login].json() for login in repo.collaborators])


@route("PUT", f"{_REPO}/collaborators/{{login}}")
def add_collaborator(call: Call, repo: Repo, login: str) -> _Answer:
    if login not in call.model.users:
        return 422, {"message": "user does not exist"}
    repo.collaborators[login] = call.body["permission"]
    return 204, None


@route("DELETE", f"{_REPO}/collaborators/{{login}}")
def remove_collaborator(call: Call, repo: Repo, login: str) -> _Answer:
    repo.collaborators.pop(login, None)
    return 204, None


# Rules of protection


@route("GET", f"{_REPO}/branch_protections")
def list_rules(call: Call, repo: Repo) -> _Answer:
    return 200, list(repo.rules.values())


@route("POST", f"{_REPO}/branch_protections")
def create_rule(call: Call, repo: Repo) -> _Answer:
    name = call.body.get("rule_name") or call.body["branch_name"]
    if call.version < (1, 19, 0) and f"refs/heads/{name}" not in repo.refs():
        return 404, {"message": "branch does not exist"}
    if name in repo.rules:
        return 403, {"message": "Branch protection already exist"}
    repo.rules[name] = {**call.body, "branch_name": name}
    return 201, repo.rules[name]


@route("PATCH", f"{_REPO}/branch_protections/{{rule}}")
def change_rule(call: Call, repo: Repo, rule: str) -> _Answer:
    if rule not in repo.rules:
        return _absent()
    repo.rules[rule].update(call.body)
    return 200, repo.rules[rule]


@route("DELETE", f"{_REPO}/branch_protections/{{rule}}")
def delete_rule(call: Call, repo: Repo, rule: str) -> _Answer:
    return (204, None) if repo.rules.pop(rule, None) else _absent()


# From 1.23 on


@route("GET", f"{_REPO}/tag_protections")
def list_tag_rules(call: Call, repo: Repo) -> _Answer:
    return 200, list(repo.tag_rules.values())


@route("POST", f"{_REPO}/tag_protections")
def create_tag_rule(call: Call, repo: Repo) -> _Answer:
    if any(rule["name_pattern"] == call.body["name_pattern"] for rule in repo.tag_rules.values()):
        return 403, {"message": "Tag protection already exist"}
    number = next(call.model.numbers)
    repo.tag_rules[number] = {"id": number, **call.body}
    return 201, repo.tag_rules[number]


@route("PATCH", f"{_REPO}/tag_protections/{{number}}")
def change_tag_rule(call: Call, repo: Repo, number: str) -> _Answer:
    if int(number) not in repo.tag_rules:
        return _absent()
    repo.tag_rules[int(number)].update(call.body)
    return 200, repo.tag_rules[int(number)]


# Webhooks


@route("GET", f"{_REPO}/hooks")
def list_hooks(call: Call, repo: Repo) -> _Answer:
    return 200, call.page([_hook(hook) for hook in repo.hooks])


@route("POST", f"{_REPO}/hooks")
def create_hook(call: Call, repo: Repo) -> _Answer:
    hook = {"id": next(call.model.numbers), **call.body}
    repo.hooks.append(hook)
    return 201, _hook(hook)


@route("PATCH", f"{_REPO}/hooks/{{number}}")
def change_hook(call: Call, repo: Repo, number: str) -> _Answer:
    hook = next((hook for hook in repo.hooks if hook["id"] == int(number)), None)
    if hook is None:
        return _absent()
    hook.update(call.body)
    return 200, _hook(hook)


@route("DELETE", f"{_REPO}/hooks/{{number}}")
def delete_hook(call: Call, repo: Repo, number: str) -> _Answer:
    repo.hooks[:] = [hook for hook in repo.hooks if hook["id"] != int(number)]
    return 204, None


def _hook(hook: dict[str, Any]) -> dict[str, Any]:
    return {**hook, "config": {key: value for key, value in hook["config"].items() if key != "secret"}}
