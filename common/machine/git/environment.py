"""The environment of a git process: without the configuration of machine and user, without prompts, and with secrets
in variables instead of arguments.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping

_SCRUBBED = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
}


def git_environment(base: Mapping[str, str], config: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """The whole environment of a git process: `base`, and variables that exclude other configuration.

    base: PATH, HOME, locale and git's other variables; HOME should not contain a .gitconfig. config: keys and values
    that override every configuration file; keys may repeat. Unlike arguments, other users can't read them.
    """
    return {**base, **_SCRUBBED, **config_variables(config)}


def config_variables(config: Iterable[tuple[str, str]], after: int = 0) -> dict[str, str]:
    """The variables that give git these keys and values. after: how many the environment has already."""
    pairs = list(config)
    if not pairs:
        return {}
    variables = {"GIT_CONFIG_COUNT": str(after + len(pairs))}
    for number, (key, value) in enumerate(pairs, after):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def identity(name: str, email: str) -> dict[str, str]:
    """The variables that set the author and the committer of new commits."""
    return {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", name), ("EMAIL", email))}  # fmt: skip


def basic_authorization(username: str, password: str) -> str:
    """The value of git's `http.extraHeader` for basic authentication."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return f"Authorization: Basic {pair}"
