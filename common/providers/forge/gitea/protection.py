"""Branch protection rules: only the platform pushes to the default branch, the staging branch and release branches.

From 1.19 on a server accepts patterns, which also cover future branches; an older one accepts only names of existing
branches. From 1.23 on a rule can allow a user to push by force; before, the platform removes the rule for a forced
push and restores it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote

from common.providers.forge.gitea.client import Client, Json
from common.providers.forge.gitea.features import Features
from common.providers.forge.gitea.repository_setup import Account, Found
from common.values.names import RELEASE_PREFIX, STAGING_BRANCH, TAG_PREFIX, is_platform_branch

_RELEASES = f"{RELEASE_PREFIX}**"
_RELEASE_TAGS = f"{TAG_PREFIX}**"
IN_THE_WAY = (RELEASE_PREFIX.rstrip("/"), f"{STAGING_BRANCH}/**")
"""Branches beside which git can't keep the platform's own. The platform never makes one."""


class Protection:
    """The rules of one repository."""

    def __init__(self, client: Client, found: Found, features: Features, account: Account) -> None:
        self._client = client
        self._found = found
        self._features = features
        self._account = account
        self._path = f"{found.path}/branch_protections"

    def ensure_rules(
        self, is_free: Callable[[str], bool], *, default: str | None = None, owners_push: bool | None = None
    ) -> None:
        """Ensure all rules that the server takes. is_free: whether no branch has this name or one below it.

        default, owners_push: as in `ensure_platform_rules`, but None also leaves out a rule for the default branch.
        """
        if owners_push is None:
            self._ensure_own(())
        else:
            self.ensure_platform_rules(default=default, owners_push=owners_push)
        if self._features.has_patterns:
            # A branch that is there needs to be deleted, which a rule would forbid.
            for name in filter(is_free, IN_THE_WAY):
                self.ensure_rule(name, pushers=(), is_forced=True)
        self._ensure_tag_rule()

    def lacks_rules(self) -> bool:
        """Whether a rule is missing that this server could have, as after it was updated from before 1.19."""
        return self._features.has_patterns and not {_RELEASES, *IN_THE_WAY} <= {_name(rule) for rule in self._rules()}

    def ensure_platform_rules(
        self, branches: Sequence[str] = (), *, default: str | None = None, owners_push: bool | None = None
    ) -> None:
        """Ensure the rules by which only the platform pushes its branches.

        branches: existing branches of the platform (needed for servers without patterns). default: the default branch;
        None: what the server takes for it. Owners of the organisation may merge pull requests into the default branch,
        and with owners_push also push to it; None: leave an existing rule as it is. Agents may do neither.
        """
        default = default or self._found.default_branch
        if owners_push is not None or default not in {_name(rule) for rule in self._rules()}:
            self.ensure_rule(default, pushers=(), is_forced=False, owners_push=bool(owners_push))
        self._ensure_own(branches)

    def _ensure_own(self, branches: Sequence[str]) -> None:
        """Ensure the rules of the branches that the platform makes."""
        self.ensure_rule(STAGING_BRANCH, pushers=(), is_forced=True)
        if self._features.has_patterns:
            self.ensure_rule(_RELEASES, pushers=(), is_forced=True)
            return
        for branch in branches:
            if is_platform_branch(branch):
                self.ensure_rule(branch, pushers=(), is_forced=True)

    def _ensure_tag_rule(self) -> None:
        """Ensure that only the platform creates and moves release tags. No-op on a server without tag rules."""
        path = f"{self._found.path}/tag_protections"
        if not self._features.has_tag_rules:
            return
        rules = [rule for rule in self._client.get(path).body or [] if rule.get("name_pattern") == _RELEASE_TAGS]
        wanted = {"name_pattern": _RELEASE_TAGS, "whitelist_usernames": [self._account.login], "whitelist_teams": []}
        if not rules:
            self._client.call("POST", path, body=wanted)
        elif any(rules[0].get(key) != value for key, value in wanted.items()):
            self._client.call("PATCH", f"{path}/{rules[0]['id']}", body=wanted)

    def ensure_rule(self, name: str, *, pushers: Sequence[str], is_forced: bool, owners_push: bool = False) -> None:
        """Ensure the rule by which only the platform and `pushers` push; by force if is_forced and the server can.

        No-op on a server without patterns if the branch does not exist yet.
        """
        wanted = self._rule(pushers, is_forced) | {"push_whitelist_teams": self._owners() if owners_push else []}
        for rule in self._rules():
            if _name(rule) == name:
                if any(rule.get(key) != value for key, value in wanted.items()):
                    self._client.call("PATCH", self._at(name), body=wanted)
                return
        naming = "rule_name" if self._features.has_patterns else "branch_name"
        # 403 (422 on some versions): the rule exists, from a call whose answer was lost. 404: no such branch.
        answer = self._client.call("POST", self._path, body={naming: name, **wanted}, accept=(403, 404, 422))
        if answer.status in {403, 422} and name not in {_name(rule) for rule in self._rules()}:
            self._client.call("POST", self._path, body={naming: name, **wanted})

    def lift(self, branch: str) -> None:
        """Remove our rules for this branch. The caller restores them with `ensure_platform_rules`."""
        names = {_RELEASES, branch} if branch.startswith(RELEASE_PREFIX) else {branch}
        for rule in self._rules():
            if _name(rule) in names:
                self._client.call("DELETE", self._at(_name(rule)), accept=(404,))

    def remove_pusher(self, username: str) -> None:
        """Remove the rules that allow this user to push."""
        for rule in self._rules():
            if username in (rule.get("push_whitelist_usernames") or []):
                self._client.call("DELETE", self._at(_name(rule)), accept=(404,))

    def _rule(self, pushers: Sequence[str], is_forced: bool) -> dict[str, object]:
        allowed = sorted({self._account.login, *pushers})
        rule: dict[str, object] = {
            "enable_push": True,
            "enable_push_whitelist": True,
            "push_whitelist_usernames": allowed,
            "enable_merge_whitelist": True,
            "merge_whitelist_usernames": [self._account.login],
            "merge_whitelist_teams": self._owners(),
        }
        if self._features.has_force_lists:
            rule["enable_force_push"] = is_forced
            rule["enable_force_push_allowlist"] = is_forced
            rule["force_push_allowlist_usernames"] = allowed if is_forced else []
        return rule

    def _owners(self) -> list[str]:
        return ["Owners"] if self._found.is_of_organisation else []

    def _rules(self) -> list[Json]:
        return self._client.get(self._path).body or []

    def _at(self, name: str) -> str:
        # A rule's name is one segment of the path, so its slashes are encoded.
        return f"{self._path}/{quote(name, safe='')}"


def _name(rule: Json) -> str:
    return str(rule.get("rule_name") or rule.get("branch_name") or "")
