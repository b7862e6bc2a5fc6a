"""A repository at the forge, and how a program gets at it."""

from __future__ import annotations

from dataclasses import dataclass, field

from common.values.constraints import CloneUrl, Text


@dataclass(frozen=True)
class Repository:
    """A repository's place: `owner/name`, both `[a-z0-9-]{1,40}`. project_id marks it as ours."""

    owner: str
    name: str
    project_id: str


@dataclass(frozen=True)
class Credential:
    """What pushes one branch of one repository, and reads that repository. Basic auth over HTTP."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Source:
    """Where a program on this side clones from. username and password are None when none are needed."""

    clone_url: CloneUrl
    username: Text | None = None
    password: Text | None = field(default=None, repr=False)


UNKNOWN_SOURCE = Source("")
"""A service can't ask the forge: the job puts the forge's answer in its place. No runtime accepts this one."""
