"""Features of a Gitea or Forgejo server, detected by its version and by the description of its API (swagger).

Gitea from 1.15 on, and Forgejo, whose version contains that of the compatible Gitea (`7.0.5+gitea-1.22.0`). If the
server does not publish its description, the version alone decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.errors import ProviderUnavailable
from common.providers.forge.gitea.client import Client, Json

OLDEST = (1, 15, 0)
_HIDDEN = (301, 302, 303, 307, 308, 401, 403, 404)
"""Statuses of a server that does not show its description, to anybody or (REQUIRE_SIGNIN_VIEW) to API clients. The
description is a web page and not part of the API, so newer servers redirect even a call with a token to the login."""
_BY_BRANCHES = "/repos/{owner}/{repo}/pulls/{base}/{head}"
_TIMELINE = "/repos/{owner}/{repo}/issues/{index}/timeline"
SCOPES_FIXED = {"Gitea": (1, 26, 2), "Forgejo": (15, 0, 2)}
"""First versions in which a token's scopes limit what it may do. AiWorker does not rely on them (docs/decisions/0007).
Source for Forgejo: services/context/permission.go, CheckRepoScopedToken."""


@dataclass(frozen=True)
class Features:
    """Features of one server.

    has_patterns: a protection rule may be a pattern such as `release/*`. has_force_lists: a rule may list who pushes
    by force. has_manual_merge: a pull request can be marked as merged by an existing commit. has_tag_rules: tags can
    be protected by a pattern. has_actions_jobs: the jobs of its Actions can be listed. has_comment_files: a comment
    may have files. finds_by_branches: a pull request can be read by its two branches. has_timeline: who closed a pull
    request can be read. is_described: detected from the server's description, not from its version alone.
    """

    name: str
    version: tuple[int, int, int]
    has_patterns: bool
    has_force_lists: bool
    has_manual_merge: bool
    has_tag_rules: bool = False
    has_actions_jobs: bool = False
    has_comment_files: bool = False
    finds_by_branches: bool = False
    has_timeline: bool = False
    is_described: bool = True

    @property
    def run_scopes(self) -> tuple[str, ...]:
        """The scopes that a token needs to read and push its user's repositories; empty if tokens have no scopes."""
        if self.version >= (1, 20, 0):
            return ("write:repository",)
        return ("repo",) if self.version >= (1, 19, 0) else ()

    @property
    def product(self) -> str:
        return "Forgejo" if "+gitea-" in self.name else "Gitea"

    @property
    def warning(self) -> str | None:
        """A warning to the operator about this version; None if there is none."""
        own = parse_version(self.name.partition("+gitea-")[0]) or self.version
        fixed = SCOPES_FIXED[self.product]
        if own >= fixed:
            return None
        return (
            f"{self.name} is older than {self.product} {'.'.join(map(str, fixed))}: scopes do not limit a token there "
            "(CVE-2026-28744, CVE-2026-28699), so whoever gets a token has all rights of its owner; update the server"
        )


def read_version(client: Client) -> str:
    """Return the server's version string. Raises ProviderUnavailable if the server is not Gitea or Forgejo."""
    # 404: as from a proxy that finds no server behind it.
    body = client.get("/version", accept=(404,)).body
    if not isinstance(body, dict) or not isinstance(body.get("version"), str):
        raise ProviderUnavailable("the server at GITEA_URL is not Gitea")
    name: str = body["version"]
    return name


def read_features(client: Client, name: str) -> Features:
    """Detect the server's features. name: the result of read_version.

    Raises ProviderUnavailable if the version is too old or can't be parsed.
    """
    version = parse_version(name)
    if version is None or version < OLDEST:
        raise ProviderUnavailable(f"Gitea {name} is too old; 1.15 or newer is needed")
    described = client.get("/swagger.v1.json", accept=_HIDDEN)
    fields = _fields(described.body if described.is_there else None)
    if fields is None:
        return Features(
            name,
            version,
            version >= (1, 19, 0),
            version >= (1, 23, 0),
            has_manual_merge=True,
            has_tag_rules=version >= (1, 23, 0),
            has_actions_jobs=version >= (1, 22, 0),
            has_comment_files=version >= (1, 18, 0),
            finds_by_branches=version >= (1, 22, 0),
            has_timeline=version >= (1, 18, 0),
            is_described=False,
        )
    paths = described.body.get("paths") or {}
    return Features(
        name,
        version,
        has_patterns="rule_name" in fields("CreateBranchProtectionOption"),
        has_force_lists="enable_force_push_allowlist" in fields("CreateBranchProtectionOption"),
        has_manual_merge="allow_manual_merge" in fields("EditRepoOption"),
        has_tag_rules="name_pattern" in fields("CreateTagProtectionOption"),
        has_actions_jobs="head_sha" in fields("ActionTask"),
        has_comment_files="assets" in fields("Comment"),
        finds_by_branches=_BY_BRANCHES in paths,
        # Servers since 1.16 may have it; what their first versions call an event is not known.
        has_timeline=version >= (1, 18, 0) and _TIMELINE in paths,
    )


def parse_version(name: str) -> tuple[int, int, int] | None:
    """Return the Gitea version in a version string; None if there is none.

    >>> parse_version("7.0.5+gitea-1.22.0")
    (1, 22, 0)
    """
    found = re.search(r"gitea-(\d+)\.(\d+)(?:\.(\d+))?", name) or re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", name)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


class _Fields:
    def __init__(self, definitions: dict[str, Json]) -> None:
        self._definitions = definitions

    def __call__(self, name: str) -> set[str]:
        return set((self._definitions.get(name) or {}).get("properties") or {})


def _fields(document: Json) -> _Fields | None:
    definitions = document.get("definitions") if isinstance(document, dict) else None
    return _Fields(definitions) if isinstance(definitions, dict) and definitions else None
