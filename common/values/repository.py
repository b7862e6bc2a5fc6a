"""A repository at the forge, and how programs access it."""

from __future__ import annotations

from dataclasses import dataclass, field

from common.values.constraints import CloneUrl, Text


@dataclass(frozen=True)
class Repository:
    """A repository `owner/name`, both `[a-z0-9-]{1,40}`. project_id: marks the repository as ours."""

    owner: str
    name: str
    project_id: str


@dataclass(frozen=True)
class Credential:
    """Basic authentication with which one branch can be pushed and its repository read."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Source:
    """Where the platform's own programs clone from. username, password: None if none are needed."""

    clone_url: CloneUrl
    username: Text | None = None
    password: Text | None = field(default=None, repr=False)


UNKNOWN_SOURCE = Source("")
"""Placeholder: services can't ask the forge, so the job replaces it by the forge's answer. Runtimes reject it."""
