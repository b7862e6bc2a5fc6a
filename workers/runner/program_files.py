"""Which files of this machine a program needs to be started, beside the system's, which every sandbox shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common.machine.homes import user_home
from workers.sandbox.system_folders import is_system


def program_files(words: Sequence[str]) -> tuple[Path, ...]:
    """The files that a command's words name, what their links lead to, and the packages that they lie in.

    words: a program's path, or the command that a person has chosen. Never a folder that only happens to be above a
    file, such as `~/.local`.
    """
    named = [Path(word) for word in words if word.startswith("/") and Path(word).exists()]
    shown = (_shown(place) for path in named for place in (path, path.resolve()) if not is_system(place))
    found = dict.fromkeys(place for place in shown if place is not None)
    return tuple(place for place in found if not any(other in place.parents for other in found))


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
