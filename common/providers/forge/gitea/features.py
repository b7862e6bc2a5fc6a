"""What a server can do, told by its version and by its own description of its API, never assumed.

Gitea, from 1.15 on, and Forgejo, which names the Gitea it speaks like (`7.0.5+gitea-1.22.0`). A server that does not
show its description is judged by its version alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.errors import ProviderUnavailable
from common.providers.forge.gitea.client import Client, Json

OLDEST = (1, 15, 0)
_HIDDEN = (301, 302, 303, 307, 308, 401, 403, 404)
"""How a server answers that shows its description to nobody, or (REQUIRE_SIGNIN_VIEW) to no program: it is one of its
pages, not of its API, so newer ones send whoever holds a token to the login."""
SCOPES_FIXED = {"Gitea": (1, 26, 2), "Forgejo": (15, 0, 2)}
"""From here on a token's scopes bound what it may do. (AiWorker does not build on them: see docs/decisions/0007.)
Forgejo's as its sources have it: services/context/permission.go, CheckRepoScopedToken."""


@dataclass(frozen=True)
class Features:
    """has_patterns: a rule of protection may be a pattern such as `release/*`. has_force_lists: a rule may name who
    pushes by force. has_manual_merge: a pull request can be marked as merged by a commit that is there already.
    has_tag_rules: tags can be protected by a pattern. is_described: all this was told by the server's own description,
    not by its version alone."""

    name: str
    version: tuple[int, int, int]
    has_patterns: bool
    has_force_lists: bool
    has_manual_merge: bool
    has_tag_rules: bool = False
    is_described: bool = True

    @property
    def run_scopes(self) -> tuple[str, ...]:
        """What a token must be given to read and push its user's repositories; none where tokens have no scopes."""
        if self.version >= (1, 20, 0):
            return ("write:repository",)
        return ("repo",) if self.version >= (1, 19, 0) else ()

    @property
    def product(self) -> str:
        return "Forgejo" if "+gitea-" in self.name else "Gitea"

    @property
    def warning(self) -> str | None:
        """What an operator should know about this version, None if nothing."""
        own = parse_version(self.name.partition("+gitea-")[0]) or self.version
        fixed = SCOPES_FIXED[self.product]
        if own >= fixed:
            return None
        return (
            f"{self.name} is older than {self.product} {'.'.join(map(str, fixed))}: the scopes of a token do not limit "
            "it there (CVE-2026-28744, CVE-2026-28699); whoever gets a token has all its owner may do, so update the "
            "server"
        )


def read_version(client: Client) -> str:
    """What the server calls its version."""
    body = client.get("/version").body
    if not isinstance(body, dict) or not isinstance(body.get("version"), str):
        raise ProviderUnavailable("GITEA_URL is answered by something that is not Gitea")
    name: str = body["version"]
    return name


def read_features(client: Client, name: str) -> Features:
    """name: what read_version returned. ProviderUnavailable for a version that is too old, or for none."""
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
            is_described=False,
        )
    return Features(
        name,
        version,
        has_patterns="rule_name" in fields("CreateBranchProtectionOption"),
        has_force_lists="enable_force_push_allowlist" in fields("CreateBranchProtectionOption"),
        has_manual_merge="allow_manual_merge" in fields("EditRepoOption"),
        has_tag_rules="name_pattern" in fields("CreateTagProtectionOption"),
    )


def parse_version(name: str) -> tuple[int, int, int] | None:
    """The version of Gitea in its name, None where there is none.

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
