"""Which project a git repository belongs to: two values in the repository's own git configuration.

They lie in `.git/config`, so nothing is added to the working tree and nothing is pushed.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from web.cli.api_error import ApiError

PROJECT_KEY = "aiworker.project"
URL_KEY = "aiworker.url"
GIT_SECONDS = 30.0


@dataclass(frozen=True)
class Link:
    """url: of the platform. project_id: of the project there."""

    url: str
    project_id: str


def git(*words: str) -> str | None:
    """What git says in the present folder, without the last newline; None if it refuses or there is no git."""
    try:
        ended = subprocess.run(
            ["git", *words],
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=GIT_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout.rstrip("\n") if ended.returncode == 0 else None


def read_link() -> Link | None:
    """The link of the repository that the present folder is in; None if there is none."""
    said = git("config", "--local", "--get-regexp", r"^aiworker\.(project|url)$")
    found = dict(line.split(" ", 1) for line in (said or "").splitlines() if " " in line)
    if PROJECT_KEY not in found or URL_KEY not in found:
        return None
    return Link(found[URL_KEY].rstrip("/"), found[PROJECT_KEY])


def write_link(link: Link) -> None:
    """Link the repository that the present folder is in. Replaces an earlier link."""
    for key, value in ((URL_KEY, link.url), (PROJECT_KEY, link.project_id)):
        if git("config", "--local", "--replace-all", key, value) is None:
            raise ApiError("the repository's configuration can't be written; is this a git repository of yours?")


def remove_link() -> None:
    """Remove the link. Safe to repeat."""
    git("config", "--local", "--unset-all", PROJECT_KEY)
    git("config", "--local", "--unset-all", URL_KEY)
