"""Lines of a prompt that the runner replaces by what only it can read. Each stands on a line of its own."""

from __future__ import annotations

import re

REPOSITORY_INSTRUCTIONS = "{repository-instructions}"
"""The whole line: replaced by the text of the repository's instruction files, such as AGENTS.md."""

ATTACHMENTS = "- {attachments}/"
"""The beginning of a line: `{attachments}` is replaced by the folder with the task's files."""

CODE_LINE = re.compile(r"\{code-around ([^\n]+):([0-9]{1,8})\}")
"""The whole line: replaced by the lines of a file of the clone around this one."""


def code_marker(path: str, line: int) -> str:
    return f"{{code-around {path}:{line}}}"
