"""Sessions that a CLI files by the path of the workspace: laid out anew for the path of this run's workspace."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from pathlib import Path

from workers.runner.drivers.json_lines import parsed
from workers.runner.workspace.files import list_inside, read_inside

LONGEST_SESSION_BYTES = 32 * 2**20
"""A session is read into memory, several times over. A longer one is not continued in another workspace."""

_QWEN = ".qwen/projects"


def qwen_chats(workspace: Path) -> str:
    """The folder below home with Qwen Code's sessions in this workspace."""
    folder = re.sub(r"[^a-zA-Z0-9]", "-", str(workspace))
    return f"{_QWEN}/{folder}/chats"


def qwen_files(home: Path, workspace: Path, session: str) -> dict[str, str]:
    """The files with which Qwen Code finds a kept session in this workspace: path below home → content. Empty if it
    is there already, such as for the second process of a run.
    """
    here = f"{qwen_chats(workspace)}/{session}.jsonl"
    if "/" in session or read_inside(home, here, 1) is not None:
        return {}
    elsewhere = [f"{_QWEN}/{project}/chats/{session}.jsonl" for project in list_inside(home, _QWEN)]
    # Archives of earlier versions have a copy of each run's workspace.
    for name in sorted(elsewhere, key=lambda name: _changed_at(home / name), reverse=True):
        content = read_inside(home, name, LONGEST_SESSION_BYTES + 1)
        if content is not None and len(content) <= LONGEST_SESSION_BYTES:
            # Other line ends than this may stand within a record: JSON writes U+2028 and its like as they are.
            lines = content.decode(errors="replace").split("\n")
            return {here: "\n".join(_at(line, str(workspace)) for line in lines)}
    return {}


def _changed_at(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _at(line: str, workspace: str) -> str:
    """A record of a session, as if it had been made in this workspace: records of others are ignored."""
    record = parsed(line)
    return json.dumps({**record, "cwd": workspace}) if "cwd" in record else line


def drop_opencode_sessions(database: Path) -> None:
    """Have OpenCode begin without the sessions of earlier runs. It does not start at all with a database that it can't
    read, such as one of a newer version, or one that was kept in the middle of a write.
    """
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            database.with_name(database.name + suffix).unlink()


def move_opencode_session(database: Path, workspace: str, session: str) -> None:
    """Make OpenCode continue a kept session in this workspace. Does nothing without a database that has it.

    OpenCode works in the folder that is stored with the session, whatever folder it is told to load it in.
    """
    if not database.is_file():
        return
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database)) as connection, connection:
        found = connection.execute("select directory from session where id = ?", (session,)).fetchone()
        if found and found[0] != workspace:
            move = (workspace, found[0])
            connection.execute("update session set directory = ? where directory = ?", move)
            connection.execute("update project set worktree = ? where worktree = ?", move)
            connection.execute("update or replace project_directory set directory = ? where directory = ?", move)
