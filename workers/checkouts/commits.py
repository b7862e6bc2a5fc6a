"""Functions for every checkout of a commit, local or in a pod: git's environment, and which program to run.

Needs no package outside the standard library, because the checkout container of a pod uses this module too.
"""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path

from common.machine.git.environment import basic_authorization, git_environment
from common.machine.processes.children import base_environment
from workers.static_server import open_inside

NOTHING_TO_RUN = (
    "there is nothing to run: set a start command, or add a Procfile with a web: line or an index.html to the root of"
    " the repository"
)
TRY_AGAIN_AFTER_SECONDS = (0.5, 2.0)
"""Pauses before git is tried again: the forge may just be restarting."""
PROCFILE_BYTES = 64 * 1024
"""How much of a Procfile is read."""

_PROCFILE_WEB = re.compile(r"^web:[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE)


_ATTRIBUTES = "* !working-tree-encoding !ident !filter\n"


def write_files_as_committed(git_dir: Path) -> None:
    """Have git ignore attributes by which a `.gitattributes` file changes other files at their checkout: what is tested
    and run is then what was compared, scanned and reviewed. Line ends stay as the attributes say. Raises OSError.
    """
    file = git_dir / "info" / "attributes"
    file.parent.mkdir(exist_ok=True)
    file.write_text(_ATTRIBUTES, encoding="utf-8")


def checkout_environment(username: str | None, password: str | None, **config: str) -> dict[str, str]:
    """Return the environment for git: it reads no configuration files, and no argument contains the credential.

    config: further git settings, with `__` for the dots of a name.
    """
    chosen = {
        "core.hooksPath": os.devnull,
        "credential.helper": "",
        "advice.detachedHead": "false",
        "http.lowSpeedLimit": "100",
        "http.lowSpeedTime": "30",
        # After a redirect, git would send the header below to the new address.
        "http.followRedirects": "false",
        **{name.replace("__", "."): value for name, value in config.items()},
    }
    if password:
        chosen["http.extraHeader"] = basic_authorization(username or "", password)
    base = base_environment(os.devnull) | {"GIT_ALLOW_PROTOCOL": "file:http:https"}
    return git_environment(base, chosen.items())


def why_git_failed(output: bytes, exit_code: int | None, password: str | None = None) -> str:
    """Return the last line of git's output, with the password masked."""
    lines = output.decode("utf-8", "replace").strip().splitlines()
    why = lines[-1] if lines else f"git exited with {exit_code}"
    return why.replace(password, "…") if password else why


def start_line(start_command: str | None, code: Path) -> str | None:
    """Return the shell command that starts this checkout: the given one, else its Procfile's web line, else None.

    A web line with a NUL is none: no program can be given it.
    """
    if start_command:
        return start_command
    try:
        with open_inside(code, "Procfile") as file:
            content = file.read(PROCFILE_BYTES)
    except OSError:
        return None
    # Windows' programs begin a text with a mark, and some write UTF-16.
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    match = _PROCFILE_WEB.search(content.decode("utf-16" if is_utf_16 else "utf-8-sig", "replace"))
    return match[1] if match and "\0" not in match[1] else None


def is_website(code: Path) -> bool:
    """Whether the checkout has an index.html for the file server."""
    try:
        open_inside(code, "index.html").close()
    except OSError:
        return False
    return True
