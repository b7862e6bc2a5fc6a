"""What the double knows: users, organisations and repositories in memory, and the code in real bare repositories."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.providers.git_work_tree import git

# Gitea's own check before it takes a push: rules of protection, for whoever pushes. It reads both from its environment.
_HOOK = f"""#!{sys.executable} -S
import fnmatch, json, os, subprocess, sys
pusher, rules = os.environ["PUSHER"], json.loads(os.environ["RULES"])
tags = json.loads(os.environ["TAG_RULES"])
for line in sys.stdin:
    old, new, ref = line.split()
    tag = ref.removeprefix("refs/tags/")
    if ref != tag and any(fnmatch.fnmatchcase(tag, rule["name_pattern"]) and pusher not in rule["whitelist_usernames"]
                          for rule in tags):
        sys.exit(f"Tag {{tag}} is protected")
    branch = ref.removeprefix("refs/heads/")
    rule = next((rule for rule in rules if rule["name"] == branch), None) or next(
        (rule for rule in rules if fnmatch.fnmatchcase(branch, rule["name"])), None)
    if rule is None or not ref.startswith("refs/heads/"):
        continue
    if not int(new, 16):
        sys.exit(f"branch {{branch}} is protected from deletion")
    is_forced = int(old, 16) and subprocess.run(["git", "merge-base", "--is-ancestor", old, new]).returncode
    if is_forced and pusher not in rule["forcers"]:
        sys.exit(f"branch {{branch}} is protected from force push")
    if pusher not in rule["pushers"]:
        sys.exit(f"Not allowed to push to protected branch {{branch}}")
"""


@dataclass
class User:
    number: int
    login: str
    password: str
    email: str
    full_name: str = ""
    token: str | None = None
    is_admin: bool = False
    tokens: dict[str, str] = field(default_factory=dict)
    """Made by the API: their secrets by their names."""
    fields: dict[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        return {
            "id": self.number, "login": self.login, "full_name": self.full_name, "email": self.email,
            "is_admin": self.is_admin, "restricted": self.fields.get("restricted", False),
            "prohibit_login": self.fields.get("prohibit_login", False),
        }  # fmt: skip


@dataclass
class Repo:
    number: int
    owner: str
    name: str
    path: Path
    root_url: str
    fields: dict[str, Any]
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    """Who closed and reopened pull requests, by their logins."""
    reviews: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    hooks: list[dict[str, Any]] = field(default_factory=list)
    collaborators: dict[str, str] = field(default_factory=dict)
    tag_rules: dict[int, dict[str, Any]] = field(default_factory=dict)
    allows_manual_merge: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    """By their addresses. Those of a deleted comment are left here, as nothing asks for them."""

    def create(self) -> None:
        git("init", "--quiet", "--bare", f"--initial-branch={self.fields['default_branch']}", str(self.path))
        git("config", "http.receivepack", "true", at=self.path)
        hook = self.path / "hooks" / "pre-receive"
        hook.write_text(_HOOK)
        hook.chmod(0o755)

    def refs(self) -> dict[str, str]:
        listed = git("for-each-ref", "--format=%(refname) %(objectname)", at=self.path).splitlines()
        return dict(line.split(" ") for line in listed)

    def has_commit(self, sha: str) -> bool:
        found = subprocess.run(["git", "cat-file", "-e", f"{sha}^{{commit}}"], cwd=self.path, stderr=subprocess.DEVNULL)
        return found.returncode == 0

    def contains(self, sha: str, branch: str) -> bool:
        found = subprocess.run(
            ["git", "merge-base", "--is-ancestor", sha, f"refs/heads/{branch}"],
            cwd=self.path,
            stderr=subprocess.DEVNULL,
        )
        return found.returncode == 0

    def hook_rules(self, owners: set[str]) -> str:
        """The rules as the hook takes them. owners: who is in the team of the organisation's owners."""
        rules = []
        for name, rule in self.rules.items():
            forcers = rule.get("force_push_allowlist_usernames", []) if rule.get("enable_force_push") else []
            teams = owners if "Owners" in rule.get("push_whitelist_teams", []) else set()
            pushers = [*rule["push_whitelist_usernames"], *teams]
            rules.append({"name": name, "pushers": pushers, "forcers": forcers})
        return json.dumps(rules)

    def json(self) -> dict[str, Any]:
        return {
            "id": self.number, "name": self.name, "full_name": f"{self.owner}/{self.name}",
            "empty": not self.refs(),
            "html_url": f"{self.root_url}/{self.owner}/{self.name}", **self.fields,
        }  # fmt: skip

    def pull_json(self, pull: dict[str, Any]) -> dict[str, Any]:
        refs = self.refs()
        live = refs.get(f"refs/heads/{pull['head']}")
        kept = refs.get(f"refs/pull/{pull['number']}/head")
        return {
            "number": pull["number"], "title": pull["title"], "body": pull["body"], "state": pull["state"],
            "merged": pull["merged"], "merge_commit_sha": pull["merge_commit_sha"], "closed_at": pull.get("closed_at"),
            "html_url": f"{self.root_url}/{self.owner}/{self.name}/pulls/{pull['number']}",
            "head": {
                "label": pull["head"], "repo_id": self.number, "sha": live or kept or "",
                "ref": pull["head"] if live else f"refs/pull/{pull['number']}/head",
            },
            "base": {"label": pull["base"], "ref": pull["base"], "repo_id": self.number,
                     "sha": refs.get(f"refs/heads/{pull['base']}", "")},
        }  # fmt: skip

    def pushed(self) -> list[int]:
        """What the server does when branches have moved: pull requests follow, or are closed with their branch.

        Returns the numbers of those that are closed.
        """
        refs, closed = self.refs(), []
        for pull in self.pulls.values():
            if pull["state"] != "open":
                continue
            head = refs.get(f"refs/heads/{pull['head']}")
            if head is None:
                pull["state"] = "closed"
                closed.append(int(pull["number"]))
            else:
                git("update-ref", f"refs/pull/{pull['number']}/head", head, at=self.path)
        return closed


class Model:
    """All that the server has. Calls to it are made one at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root_url = ""
        self.users: dict[str, User] = {}
        self.organisations: set[str] = set()
        self.owners: set[str] = set()
        """Logins of people who own every organisation."""
        self.repos: dict[tuple[str, str], Repo] = {}
        self.numbers: Iterator[int] = itertools.count(1)
        self.moved: set[str] = set()
        """Former `owner/name` of repositories and former names of organisations: they lead to the present ones."""

    def add_user(self, login: str, password: str, **fields: Any) -> User:
        user = User(next(self.numbers), login, password, fields.pop("email", f"{login}@example.org"), **fields)
        self.users[login] = user
        return user

    def add_repo(self, owner: str, name: str, fields: dict[str, Any]) -> Repo:
        number = next(self.numbers)
        repo = Repo(number, owner, name, self.root / f"{number}.git", self.root_url, fields)
        repo.create()
        self.repos[owner, name] = repo
        return repo

    def user_by_token(self, token: str) -> User | None:
        return next((user for user in self.users.values() if user.token and user.token == token), None)

    def user_by_login(self, login: str, password: str, *, takes_passwords: bool = True) -> User | None:
        user = self.users.get(login)
        if user is None or user.fields.get("prohibit_login"):
            return None
        is_known = password in {user.token, *user.tokens.values()} or (takes_passwords and password == user.password)
        return user if is_known else None

    def may(self, user: User | None, repo: Repo, wanted: str) -> bool:
        if user is None:
            return False
        if user.is_admin or user.login == repo.owner:
            return True
        given = repo.collaborators.get(user.login)
        return given is not None and (wanted == "read" or given in {"write", "admin"})
