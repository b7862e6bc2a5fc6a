"""Sessions that a CLI files by the path of the workspace: laid out anew for the path of this run's workspace."""

from __future__ import annotations

import re
from pathlib import Path

LONGEST_SESSION_BYTES = 200 * 2**20


def qwen_files(home: Path, workspace: Path, session: str) -> dict[str, str]:
    """The files with which Qwen Code finds a kept session in this workspace: path below home → content."""
    folder = re.sub(r"[^a-zA-Z0-9]", "-", str(workspace))
    for found in sorted(home.glob(f".qwen/projects/*/chats/{session}.jsonl")):
        if found.parts[-3] != folder and found.stat().st_size <= LONGEST_SESSION_BYTES:
            content = found.read_text(encoding="utf-8", errors="replace")
            return {f".qwen/projects/{folder}/chats/{session}.jsonl": content}
    return {}
