"""Which files of this machine a program needs to be started, beside the system's, which every sandbox shows."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from common.machine.homes import user_home
from workers.sandbox.system_folders import is_system, toolchains

LONGEST_LINE_BYTES = 2000
MOST_LINKS = 10
_LONG_PATH = b"'''exec' "
"""How pip and uv begin a script's second line where the first can't hold the interpreter's path."""


def program_files(words: Sequence[str], *, hidden: Sequence[Path]) -> tuple[Path, ...]:
    """The files that a command's words name, what their links lead to, the packages that they lie in, and the
    interpreters of scripts, such as the virtual environment that pipx made and the Python behind it.

    words: a program's path, or the command that a person has chosen. Never a folder that only happens to be above a
    file, such as `~/.local`. hidden: an interpreter's tree that contains one of these is not shown.
    """
    named = [Path(word) for word in words if word.startswith("/") and Path(word).exists()]
    shown = (_shown(place) for path in named for place in (path, path.resolve()) if not is_system(place))
    interpreters = (folder for path in named for folder in _interpreter_folders(path, hidden))
    found = dict.fromkeys(place for place in (*shown, *interpreters) if place is not None)
    return tuple(place for place in found if not any(other in place.parents for other in found))


def _interpreter_folders(script: Path, hidden: Sequence[Path]) -> list[Path]:
    """Where the interpreter is installed that a script names by its path; none for other files, and for `env`, which
    looks in PATH.
    """
    folders: list[str] = []
    interpreter = _interpreter(script)
    while interpreter is not None and len(folders) < MOST_LINKS:
        folders.append(str(interpreter.parent))
        interpreter = interpreter.parent / os.readlink(interpreter) if interpreter.is_symlink() else None
    return toolchains(os.pathsep.join(folders), tuple(hidden))


def _interpreter(script: Path) -> Path | None:
    try:
        if not script.is_file():
            # A pipe or a terminal, such as /dev/stdin, keeps its reader waiting, and what is read is gone.
            return None
        with script.open("rb") as file:
            first, second = file.readline(LONGEST_LINE_BYTES), file.readline(LONGEST_LINE_BYTES)
        if not first.startswith(b"#!"):
            return None
        words = (
            shlex.split(os.fsdecode(second))[1:] if second.startswith(_LONG_PATH) else os.fsdecode(first[2:]).split()
        )
    except (OSError, ValueError):
        return None
    return Path(words[0]) if words and words[0].startswith("/") else None


def _shown(place: Path) -> Path | None:
    never = {user_home(), Path("/")}
    for folder in reversed(place.parents):
        if folder.name == "node_modules":
            return folder
    # As `aiworker drivers install` lays it out: <name>/<version>/bin/<name>.
    for folder in place.parents[:2]:
        if (folder / "package.json").is_file() and folder not in never:
            return folder
    if place in never:
        return None
    # Its folder, as a link stays one only there.
    return place.parent if place.is_symlink() and place.parent not in never else place
