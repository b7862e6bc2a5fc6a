"""What every checkout of a commit has in common, wherever it is made: git's environment, and what is to be run in it.

Only the standard library: the first container of a pod imports it too.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from common.machine.children import base_environment
from common.machine.git_environment import basic_authorization, git_environment
from workers.supervisor.static import open_inside

NOTHING_TO_RUN = (
    "there is nothing to run: set a start command, or add a Procfile with a web: line or an index.html to the root of"
    " the repository"
)
TRY_AGAIN_AFTER_SECONDS = (0.5, 2.0)
"""A forge may be starting anew at this moment."""
PROCFILE_BYTES = 64 * 1024
"""How much of a Procfile is looked at."""

_PROCFILE_WEB = re.compile(r"^web:[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE)


def checkout_environment(username: str | None, password: str | None, **config: str) -> dict[str, str]:
    """Git sees no configuration but this, and the credential through its environment only.

    config: more of it, `__` for the dot of a name.
    """
    chosen = {
        "core.hooksPath": os.devnull,
        "credential.helper": "",
        "advice.detachedHead": "false",
        "http.lowSpeedLimit": "100",
        "http.lowSpeedTime": "30",
        # With a redirect the header below would be sent to wherever it leads.
        "http.followRedirects": "false",
        **{name.replace("__", "."): value for name, value in config.items()},
    }
    if password:
        chosen["http.extraHeader"] = basic_authorization(username or "", password)
    base = base_environment(os.devnull) | {"GIT_ALLOW_PROTOCOL": "file:http:https"}
    return git_environment(base, chosen.items())


def why_git_failed(said: bytes, exit_code: int | None, password: str | None = None) -> str:
    """The last line that git wrote, without the password."""
    lines = said.decode("utf-8", "replace").strip().splitlines()
    why = lines[-1] if lines else f"git exited with {exit_code}"
    return why.replace(password, "…") if password else why


def start_line(start_command: str | None, code: Path) -> str | None:
    """The shell command that starts this checkout: the given one, else its Procfile's web line; None without both."""
    if start_command:
        return start_command
    try:
        with open_inside(code, "Procfile") as file:
            text = file.read(PROCFILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    match = _PROCFILE_WEB.search(text)
    return match[1] if match else None


def is_website(code: Path) -> bool:
    """Whether a file server can show it."""
    try:
        open_inside(code, "index.html").close()
    except OSError:
        return False
    return True
