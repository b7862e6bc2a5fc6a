"""Lines of a prompt that the runner replaces by what only it can read. Each stands on a line of its own."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Annotated

from common.values.constraints import Matches
from common.values.json_codec import encode

_SHA = Matches(re.compile("[0-9a-f]{40}"), "a commit's 40 digits")

REPOSITORY_INSTRUCTIONS = "{repository-instructions}"
"""The whole line: replaced by the text of the repository's instruction files, such as AGENTS.md."""

ATTACHMENTS = "- {attachments}/"
"""The beginning of a line: `{attachments}` is replaced by the folder with the task's files."""

CODE_LINE = re.compile(r"\{code-around ([^\n]+?):(?:([0-9]{1,8})-)?([0-9]{1,8})(?:@([0-9a-f]{40}))?\}")
"""The whole line: replaced by the lines of a file around this one, or around this range, as they are at this commit, or
in the clone.
"""

SUGGESTION = re.compile(r"\{suggested-change (\{[^\n]*\})\}")
"""The whole line: replaced by the patch that makes the change. Its JSON is that of a Suggestion."""


@dataclass(frozen=True)
class Suggestion:
    """Lines of a file, first to last, that are to be replaced by this text, which is empty or ends with a line end.

    commit_sha: the commit whose lines are counted; None: that of the clone.
    """

    path: str
    first: int
    last: int
    text: str
    commit_sha: Annotated[str, _SHA] | None = None


def code_marker(path: str, line: int, start_line: int | None = None, commit_sha: str | None = None) -> str:
    """A line that CODE_LINE matches. commit_sha: None: the lines are those of the clone."""
    lines = str(line) if start_line is None else f"{start_line}-{line}"
    return f"{{code-around {path}:{lines}{'' if commit_sha is None else f'@{commit_sha}'}}}"


def suggestion_marker(suggestion: Suggestion) -> str:
    return f"{{suggested-change {json.dumps(encode(suggestion))}}}"
